// The floating-point environment that bertha's results rest on: round to nearest even, subnormals kept, no traps.
// Callers may run under another one (flush-to-zero is common in audio and in programs linked with -ffast-math).

#pragma once

#include <bertha/version.hpp>
#include <cstdint>

BERTHA_NAMESPACE_BEGIN

/// Sets the calling thread's environment (MXCSR on x86-64, FPCR on aarch64) and restores the former one at its scope's
/// end, flags included. Costs some nanoseconds when the environment is right already.
class FloatEnvironment {
 public:
  FloatEnvironment() noexcept : former_(read()), changed_((former_ & kControl) != kDefault) {
    if (changed_) write(kDefault);
  }
  ~FloatEnvironment() {
    if (changed_) write(former_);
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  // The "memory" clobbers keep the compiler from moving calls and loads of operands across the change.
#if defined(__x86_64__)
  using Register = std::uint32_t;
  static constexpr Register kDefault = 0x1F80;  // all exceptions masked; FTZ, DAZ and the rounding field 0
  static constexpr Register kControl = ~0x3Fu;  // all but the six flags of what happened
  static Register read() noexcept {
    Register value;
    asm volatile("stmxcsr %0" : "=m"(value) : : "memory");
    return value;
  }
  static void write(Register value) noexcept { asm volatile("ldmxcsr %0" : : "m"(value) : "memory"); }
#else
  using Register = std::uint64_t;
  static constexpr Register kDefault = 0;  // exceptions untrapped; FZ, FZ16, DN, AH and the rounding field 0
  static constexpr Register kControl = ~Register{0};
  static Register read() noexcept {
    Register value;
    asm volatile("mrs %0, fpcr" : "=r"(value) : : "memory");
    return value;
  }
  static void write(Register value) noexcept { asm volatile("msr fpcr, %0" : : "r"(value) : "memory"); }
#endif

  Register former_;
  bool changed_;
};

BERTHA_NAMESPACE_END
