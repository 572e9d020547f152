// Memory that calls borrow, so that each is warm.

#pragma once

#include <pthread.h>
#include <algorithm>
#include <atomic>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Objects that are taken for a call, given back, and kept. Any number of threads may take at once. There is no lock,
/// which a child of fork() could find held by a thread that it doesn't have: what such a thread had taken is lost to
/// the child, and nothing else.
template <class T>
class Pool {
 public:
  /// What was taken, until it goes out of scope.
  class Lease {
   public:
    Lease(Pool& pool, T* its) : pool_(pool), its_(its) {}
    Lease(Lease&& other) noexcept : pool_(other.pool_), its_(std::exchange(other.its_, nullptr)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (its_) pool_.give_back(its_);
    }
    T& operator*() const { return *its_; }
    T* operator->() const { return its_; }

   private:
    Pool& pool_;
    T* its_;
  };

  Pool() = default;
  /// Takes over what the other one keeps, of which nothing is taken.
  Pool(Pool&& other) noexcept {
    for (std::size_t i = 0; i < kMostFree; ++i) place_at(i) = other.place_at(i).exchange(nullptr);
  }
  Pool& operator=(Pool&&) = delete;
  ~Pool() {
    for (Place& place : free_) delete place.its.load();
  }

  /// One that was given back, or else a new one.
  Lease take() {
    for (std::size_t i = 0, first = first_place(); i < kMostFree; ++i) {
      auto& place = place_at(first + i);
      if (place.load(std::memory_order_relaxed) == nullptr) continue;
      if (T* its = place.exchange(nullptr)) return Lease(*this, its);
    }
    return Lease(*this, new T());
  }

 private:
  static constexpr unsigned kPlaceBits = 6;
  static constexpr std::size_t kMostFree = std::size_t{1} << kPlaceBits;  // more than that is not kept

  // In a line of its own, as threads that write to one line wait for each other.
  struct alignas(64) Place {
    std::atomic<T*> its = nullptr;  // null: an empty place
  };

  // Where this thread looks first: it is likely to find what it gave back, in its own caches.
  static std::size_t first_place() {
    const pthread_t self = ::pthread_self();
    std::uint64_t id = 0;
    std::memcpy(&id, &self, std::min(sizeof id, sizeof self));
    return id * 0x9E3779B97F4A7C15u >> (64 - kPlaceBits);
  }

  std::atomic<T*>& place_at(std::size_t i) { return free_[i % kMostFree].its; }

  void give_back(T* its) noexcept {
    for (std::size_t i = 0, first = first_place(); i < kMostFree; ++i) {
      T* none = nullptr;
      if (place_at(first + i).compare_exchange_strong(none, its)) return;
    }
    delete its;
  }

  Place free_[kMostFree];
};

}  // namespace detail

BERTHA_NAMESPACE_END
