// DynamoDB Local with a control port, so that shards really close and streams really age:
//   GET /rollover        closes every open shard of every stream and opens a child of each
//   GET /dilate?hours=N  makes every stream record N hours older
// usage: DynamoDbLocalControl PORT CONTROL_PORT [DATA_DIR]      (without DATA_DIR all is in memory)
import com.sun.net.httpserver.HttpServer;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetSocketAddress;
import java.util.Map;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBRequestHandler;
import software.amazon.dynamodb.services.local.server.LocalDynamoDBServerHandler;
import software.amazon.dynamodb.services.local.shared.access.AmazonDynamoDBLocal;

public class DynamoDbLocalControl {
  interface Action {
    void run(String query) throws Exception;
  }

  public static void main(String[] args) throws Exception {
    boolean inMemory = args.length < 3;
    var handler = new LocalDynamoDBRequestHandler(0, inMemory, inMemory ? null : args[2], true, false);
    var server = new DynamoDBProxyServer(Integer.parseInt(args[0]), new LocalDynamoDBServerHandler(handler, null));

    // The databases are private to the handler; there is no other door to the rollover trigger.
    var field = LocalDynamoDBRequestHandler.class.getDeclaredField("dbRequestHandlers");
    field.setAccessible(true);
    @SuppressWarnings("unchecked")
    var databases = (Map<String, AmazonDynamoDBLocal>) field.get(handler);

    var control = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[1])), 0);
    on(control, "/rollover", query -> {
      for (var database : databases.values()) database.triggerShardRollovers();
    });
    on(control, "/dilate", query -> {
      long hours = Long.parseLong(query.replaceAll("\\D", ""));
      for (var database : databases.values()) database.dilateEventTimes(hours * 3600_000L);
    });
    server.start();
    control.start();
    server.join();
  }

  static void on(HttpServer control, String path, Action action) {
    control.createContext(path, exchange -> {
      String answer = "ok\n";
      int status = 200;
      try {
        action.run(String.valueOf(exchange.getRequestURI().getQuery()));
      } catch (Throwable problem) {
        status = 500;
        var text = new StringWriter();
        problem.printStackTrace(new PrintWriter(text));
        answer = text.toString();
      }
      byte[] body = answer.getBytes();
      exchange.sendResponseHeaders(status, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
  }
}
