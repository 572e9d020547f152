// Memory that calls borrow, so that each is warm.

#pragma once

#include <atomic>
#include <bertha/version.hpp>
#include <cstddef>
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
    for (std::size_t i = 0; i < kMostFree; ++i) free_[i] = other.free_[i].exchange(nullptr);
  }
  Pool& operator=(Pool&&) = delete;
  ~Pool() {
    for (auto& place : free_) delete place.load();
  }

  /// One that was given back, or else a new one.
  Lease take() {
    for (auto& place : free_) {
      if (place.load(std::memory_order_relaxed) == nullptr) continue;
      if (T* its = place.exchange(nullptr)) return Lease(*this, its);
    }
    return Lease(*this, new T());
  }

 private:
  static constexpr std::size_t kMostFree = 64;  // more than that is not kept

  void give_back(T* its) noexcept {
    for (auto& place : free_) {
      T* none = nullptr;
      if (place.compare_exchange_strong(none, its)) return;
    }
    delete its;
  }

  std::atomic<T*> free_[kMostFree] = {};  // null: an empty place
};

}  // namespace detail

BERTHA_NAMESPACE_END
