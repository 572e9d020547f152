// The levels that tests run on whatever CPU: its own, and the emulations of those that few machines have.

#pragma once

#include "amx_emulation.hpp"
#include "avx2_vnni_emulation.hpp"

BERTHA_NAMESPACE_BEGIN

namespace kernels {

/// The levels of this CPU, and the emulations of what isn't one of them; best last.
inline std::vector<const Table*> available_or_emulated() {
  std::vector<const Table*> tables = available();
#if defined(__x86_64__)
  if (cpu_features().avx2 && !cpu_features().avx2_vnni) tables.push_back(&emulated_avx2_vnni::kTable);
  if (cpu_features().avx2 && !cpu_features().amx) tables.push_back(&emulated_amx::kTable);
#endif
  return tables;
}

/// While it lives, emulated tiles may be loaded only from the operands of a product, and stored to its sums.
class TilesOfOperandsOnly {
 public:
  template <class Op>
  explicit TilesOfOperandsOnly([[maybe_unused]] const Op& op) {
#if defined(__x86_64__)
    auto& allowed = emulated_amx::allowed_memory;
    allowed = {{op.a, round_up(op.rows, kTileRows) * op.a_stride * sizeof(*op.a)},
               {op.panels, op.n_panels * kLanes * op.k * sizeof(*op.panels)},
               {op.scratch, product_scratch(op.rows)}};
    if constexpr (requires { op.sums; })
      allowed.push_back({op.sums, op.sums ? sizeof(*op.sums) * product_sums(op.rows, op.k, op.n_panels) : 0});
#endif
  }
#if defined(__x86_64__)
  ~TilesOfOperandsOnly() { emulated_amx::allowed_memory.clear(); }
#endif
  TilesOfOperandsOnly(const TilesOfOperandsOnly&) = delete;
  TilesOfOperandsOnly& operator=(const TilesOfOperandsOnly&) = delete;
};

}  // namespace kernels

BERTHA_NAMESPACE_END
