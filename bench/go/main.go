// The way out of a Go program with the AWS SDK: eight segments, eight writers, into JSON lines or by BatchWriteItem.
// usage: go_way ENDPOINT lines OUT | batch TABLE. AWS_CA_BUNDLE names the CAs of an https endpoint.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const segments, writers, batchMax = 8, 8, 25

type item = map[string]types.AttributeValue

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func client(endpoint string) *dynamodb.Client {
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = segments + writers
		if file := os.Getenv("AWS_CA_BUNDLE"); file != "" {
			pem, err := os.ReadFile(file)
			die(err)
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(pem)
			t.TLSClientConfig = &tls.Config{RootCAs: pool}
		}
	})
	keys := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
	})
	// More patience than the SDK's three attempts: the injected faults must not end the run.
	retryer := func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 20) }
	return dynamodb.NewFromConfig(aws.Config{Region: "us-east-1", Credentials: aws.NewCredentialsCache(keys),
		BaseEndpoint: aws.String(endpoint), HTTPClient: transport, Retryer: retryer})
}

func scan(db *dynamodb.Client, segment int32, pages chan<- []item) {
	input := &dynamodb.ScanInput{TableName: aws.String("bench"), Segment: aws.Int32(segment),
		TotalSegments: aws.Int32(segments), ConsistentRead: aws.Bool(true)}
	for {
		page, err := db.Scan(context.Background(), input)
		die(err)
		pages <- page.Items
		if len(page.LastEvaluatedKey) == 0 {
			return
		}
		input.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

func write(db *dynamodb.Client, table string, items []item) {
	requests := make([]types.WriteRequest, len(items))
	for i, each := range items {
		requests[i] = types.WriteRequest{PutRequest: &types.PutRequest{Item: each}}
	}
	for wait := 10 * time.Millisecond; len(requests) > 0; {
		answer, err := db.BatchWriteItem(context.Background(),
			&dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: requests}})
		die(err)
		requests = answer.UnprocessedItems[table]
		if len(requests) > 0 {
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
		}
	}
}

// DynamoDB JSON, which the SDK reads and writes but does not give.
func tagged(value types.AttributeValue) any {
	one := func(tag string, inside any) any { return map[string]any{tag: inside} }
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return one("S", v.Value)
	case *types.AttributeValueMemberN:
		return one("N", v.Value)
	case *types.AttributeValueMemberB:
		return one("B", base64.StdEncoding.EncodeToString(v.Value))
	case *types.AttributeValueMemberBOOL:
		return one("BOOL", v.Value)
	case *types.AttributeValueMemberNULL:
		return one("NULL", v.Value)
	case *types.AttributeValueMemberSS:
		return one("SS", v.Value)
	case *types.AttributeValueMemberNS:
		return one("NS", v.Value)
	case *types.AttributeValueMemberBS:
		return one("BS", v.Value)
	case *types.AttributeValueMemberM:
		return one("M", taggedAll(v.Value))
	case *types.AttributeValueMemberL:
		list := make([]any, len(v.Value))
		for i, each := range v.Value {
			list[i] = tagged(each)
		}
		return one("L", list)
	}
	return nil
}

func taggedAll(values item) map[string]any {
	out := make(map[string]any, len(values))
	for name, value := range values {
		out[name] = tagged(value)
	}
	return out
}

func main() {
	endpoint, way, to := os.Args[1], os.Args[2], os.Args[3]
	db := client(endpoint)
	pages := make(chan []item, segments)
	var readers, ends sync.WaitGroup
	for segment := int32(0); segment < segments; segment++ {
		readers.Add(1)
		go func() { defer readers.Done(); scan(db, segment, pages) }()
	}
	go func() { readers.Wait(); close(pages) }()
	if way == "lines" {
		file, err := os.Create(to)
		die(err)
		out := bufio.NewWriterSize(file, 1<<20)
		for items := range pages {
			for _, each := range items {
				line, err := json.Marshal(map[string]any{"Item": taggedAll(each)})
				die(err)
				out.Write(line)
				out.WriteByte('\n')
			}
		}
		die(out.Flush())
		die(file.Close())
		return
	}
	for range writers {
		ends.Add(1)
		go func() {
			defer ends.Done()
			for items := range pages {
				for len(items) > 0 {
					n := min(len(items), batchMax)
					write(db, to, items[:n])
					items = items[n:]
				}
			}
		}()
	}
	ends.Wait()
}
