// The floating-point environment that bertha's results rest on: round to nearest even, subnormals kept, no traps.
// Callers may run under another one (flush-to-zero is common in audio and in programs linked with -ffast-math).

#pragma once

#include <bertha/version.hpp>
#include <cstdint>

BERTHA_NAMESPACE_BEGIN

/// Sets the calling thread's environment and restores the former one at its scope's end: the settings and the flags of
/// what happened (MXCSR on x86-64, FPCR and FPSR on aarch64). Costs some nanoseconds when all is right already.
class FloatEnvironment {
 public:
  FloatEnvironment() noexcept {
    if ((former_.settings & kSettings) != kDefault) write_settings(kDefault);
  }
  ~FloatEnvironment() {
    const Registers now;
    if (now.settings != former_.settings) write_settings(former_.settings);
#if defined(__aarch64__)
    if (now.flags != former_.flags) asm volatile("msr fpsr, %0" : : "r"(former_.flags) : "memory");
#endif
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  // The "memory" clobbers keep the compiler from moving calls and loads of operands across the change.
#if defined(__x86_64__)
  struct Registers {
    std::uint32_t settings;  // and flags
    Registers() noexcept { asm volatile("stmxcsr %0" : "=m"(settings) : : "memory"); }
  };
  static constexpr std::uint32_t kDefault = 0x1F80;   // all exceptions masked; FTZ, DAZ and the rounding field 0
  static constexpr std::uint32_t kSettings = ~0x3Fu;  // all but the six flags of what happened
  static void write_settings(std::uint32_t value) noexcept { asm volatile("ldmxcsr %0" : : "m"(value) : "memory"); }
#else
  struct Registers {
    std::uint64_t settings;
    std::uint64_t flags;
    Registers() noexcept { asm volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(settings), "=r"(flags) : : "memory"); }
  };
  static constexpr std::uint64_t kDefault = 0;  // exceptions untrapped; FZ, FZ16, DN, AH and the rounding field 0
  static constexpr std::uint64_t kSettings = ~std::uint64_t{0};
  static void write_settings(std::uint64_t value) noexcept { asm volatile("msr fpcr, %0" : : "r"(value) : "memory"); }
#endif

  Registers former_;
};

BERTHA_NAMESPACE_END
