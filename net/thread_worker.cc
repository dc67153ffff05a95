#include "net/thread_worker.h"

#include <pthread.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace moveout::net {

namespace asio = boost::asio;
using boost::system::error_code;
using Handler = asio::any_completion_handler<void(error_code)>;

namespace {

struct Job {
  std::uint64_t id;
  std::function<void()> work;
  Handler handler;  // only ever constructed: assigning one recurses for ever in Boost 1.81
  // Tracked work: the caller's run() does not return while a job of it is here.
  base::Executor executor;
};

// Gives the caller's frame back to its own executor; the worker's thread never runs or destroys it.
void complete(std::unique_ptr<Job> job, error_code ec) {
  const base::Executor executor = std::move(job->executor);
  asio::post(executor, asio::append(std::move(job->handler), ec));
}

}  // namespace

struct ThreadWorker::Queue {
  std::mutex mutex;
  std::condition_variable filled;
  std::deque<std::unique_ptr<Job>> jobs;  // not begun
  std::uint64_t id_next = 1;
  bool ending = false;
  std::thread thread;

  std::uint64_t new_id() {
    const std::lock_guard lock(mutex);
    return id_next++;
  }

  void put(std::unique_ptr<Job> job) {
    {
      const std::lock_guard lock(mutex);
      jobs.push_back(std::move(job));
    }
    filled.notify_one();
  }

  // Null when the queue ends.
  std::unique_ptr<Job> take() {
    std::unique_lock lock(mutex);
    filled.wait(lock, [&] { return ending || !jobs.empty(); });
    if (ending) return nullptr;
    std::unique_ptr<Job> job = std::move(jobs.front());
    jobs.pop_front();
    return job;
  }

  void loop() {
    while (std::unique_ptr<Job> job = take()) {
      job->work();
      complete(std::move(job), error_code());
    }
  }

  // Drops the job if it has not begun.
  void cancel(std::uint64_t id) {
    std::unique_ptr<Job> dropped;
    {
      const std::lock_guard lock(mutex);
      for (auto it = jobs.begin(); it != jobs.end(); ++it) {
        if ((*it)->id != id) continue;
        dropped = std::move(*it);
        jobs.erase(it);
        break;
      }
    }
    if (dropped) complete(std::move(dropped), asio::error::operation_aborted);
  }
};

ThreadWorker::ThreadWorker(std::string name) : queue_(std::make_shared<Queue>()) {
  MOVEOUT_ASSERT(name.size() <= 15);
  queue_->thread = std::thread([queue = queue_.get()] { queue->loop(); });
  pthread_setname_np(queue_->thread.native_handle(), name.c_str());
}

ThreadWorker::~ThreadWorker() {
  std::deque<std::unique_ptr<Job>> dropped;
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->ending = true;
    dropped.swap(queue_->jobs);
  }
  queue_->filled.notify_one();
  queue_->thread.join();
  for (std::unique_ptr<Job>& job : dropped) complete(std::move(job), asio::error::operation_aborted);
}

base::Task<> ThreadWorker::run(std::function<void()> work) {
  const base::Executor executor = co_await base::this_executor;
  const std::shared_ptr<Queue> queue = queue_;
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void(error_code)>(
      [&](auto handler) {
        // The type-erased handler takes the coroutine's slot over and offers one of its own: erase first, then assign.
        std::unique_ptr<Job> job(new Job{queue->new_id(), std::move(work), Handler(std::move(handler)),
                                         asio::prefer(executor, asio::execution::outstanding_work.tracked)});
        auto slot = asio::get_associated_cancellation_slot(job->handler);
        if (slot.is_connected()) {
          slot.assign([weak = std::weak_ptr<Queue>(queue), id = job->id](asio::cancellation_type) {
            if (const auto live = weak.lock()) live->cancel(id);
          });
        }
        queue->put(std::move(job));
      },
      asio::use_awaitable);
}

}  // namespace moveout::net
