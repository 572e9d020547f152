// Memory that calls borrow, so that each is warm.

#pragma once

#include <atomic>
#include <bertha/version.hpp>
#include <cstddef>
#include <memory>
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
    Lease(Pool& pool, std::unique_ptr<T> its) : pool_(pool), its_(std::move(its)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (its_) pool_.give_back(std::move(its_));
    }
    T& operator*() const { return *its_; }
    T* operator->() const { return its_.get(); }

   private:
    Pool& pool_;
    std::unique_ptr<T> its_;
  };

  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (auto& place : free_) delete place.load();
  }

  /// One that was given back, or else a new one.
  Lease take() {
    std::unique_ptr<T> its;
    for (std::size_t i = 0; i < kMostFree && !its; ++i) {
      if (free_[i].load(std::memory_order_relaxed) != nullptr) its.reset(free_[i].exchange(nullptr));
    }
    if (!its) its = std::make_unique<T>();
    return Lease(*this, std::move(its));
  }

 private:
  static constexpr std::size_t kMostFree = 64;  // more than that is not kept

  void give_back(std::unique_ptr<T> its) noexcept {
    for (auto& place : free_) {
      T* none = nullptr;
      if (!place.compare_exchange_strong(none, its.get())) continue;
      its.release();
      return;
    }
  }

  std::atomic<T*> free_[kMostFree] = {};  // null: an empty place
};

}  // namespace detail

BERTHA_NAMESPACE_END
