// Where a number of a matrix lies when products are to read it: in panels of 16 outputs (tools/format.md, section 5),
// which are the same in files, in memory and on every level, and in the layouts that a level has of its own.

#pragma once

#include <array>
#include <bertha/bf16.hpp>
#include <bertha/kernels/region.hpp>
#include <cstddef>
#include <cstdint>

BERTHA_NAMESPACE_BEGIN

namespace kernels {

/// Numbers of a vector; outputs of a panel.
inline constexpr std::size_t kLanes = 16;

BERTHA_INLINE constexpr std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }
/// N': n rounded up to whole vectors of 16.
BERTHA_INLINE constexpr std::size_t padded(std::size_t n) { return round_up(n, kLanes); }

/// How many k of one output lie side by side, and what k is rounded up to: a row of 64 bytes holds as many k of 16
/// outputs, and zeros fill up.
template <class Element>
struct PanelRow;
template <>
struct PanelRow<float> {
  static constexpr std::size_t kGroup = 1, kUnit = 1;
};
template <>
struct PanelRow<bf16> {
  static constexpr std::size_t kGroup = 2, kUnit = 32;
};
template <>
struct PanelRow<std::int8_t> {
  static constexpr std::size_t kGroup = 4, kUnit = 64;
};

/// The panels of a matrix [outputs, inputs]: [N'/16, k'/G, 16, G], k' inputs rounded up, G inputs of one output.
template <class Element>
class PanelLayout {
 public:
  static constexpr std::size_t kGroup = PanelRow<Element>::kGroup;

  BERTHA_INLINE constexpr PanelLayout(std::size_t outputs, std::size_t inputs,
                                      std::size_t unit = PanelRow<Element>::kUnit)
      : panels_(padded(outputs) / kLanes), depth_(round_up(inputs, unit)) {}

  BERTHA_INLINE constexpr std::size_t panels() const { return panels_; }
  /// k'
  BERTHA_INLINE constexpr std::size_t depth() const { return depth_; }
  /// Numbers of one panel, and of all.
  BERTHA_INLINE constexpr std::size_t panel_size() const { return depth_ * kLanes; }
  BERTHA_INLINE constexpr std::size_t size() const { return panels_ * panel_size(); }
  /// The dimensions, as a file gives them; of float32, whose group is one, without the last.
  constexpr auto shape() const {
    if constexpr (kGroup == 1)
      return std::array<std::size_t, 3>{panels_, depth_, kLanes};
    else
      return std::array<std::size_t, 4>{panels_, depth_ / kGroup, kLanes, kGroup};
  }
  /// Where the weight of an output and an input is.
  BERTHA_INLINE constexpr std::size_t at(std::size_t output, std::size_t input) const {
    return output / kLanes * panel_size() + input / kGroup * kGroup * kLanes + output % kLanes * kGroup +
           input % kGroup;
  }

 private:
  std::size_t panels_, depth_;
};

/// Tiles of AMX hold 16 rows, of an operand or of a panel, of 64 bytes.
inline constexpr std::size_t kTileRows = 16, kTileRowBytes = 64, kTileBytes = kTileRows * kTileRowBytes;
/// Numbers of a tile, and of its row.
template <class Element>
inline constexpr std::size_t kTileNumbers = kTileBytes / sizeof(Element);
template <class Element>
inline constexpr std::size_t kTileInputs = kTileRowBytes / sizeof(Element);

/// Eight such tiles, as LDTILECFG reads it.
struct TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileConfig kTileConfig;

/// Whether a float32 number is one bfloat16 number, or a high and a low one whose tiles follow each other.
enum class Halves : std::size_t { one = 1, high_and_low = 2 };

/// Where number `input` of a row is when rows lie in tiles, [rows/16][inputs/I][halves][16][I], I = kTileInputs, and
/// the rows of a tile share 16 times `stride` numbers. The low one is kTileNumbers further than the high one.
template <class Element>
BERTHA_INLINE constexpr std::size_t in_row_tiles(std::size_t row, std::size_t input, std::size_t stride,
                                                 Halves halves = Halves::one) {
  constexpr std::size_t kInputs = kTileInputs<Element>;
  return row / kTileRows * kTileRows * stride +
         input / kInputs * static_cast<std::size_t>(halves) * kTileNumbers<Element> + row % kTileRows * kInputs +
         input % kInputs;
}

/// Where the high half of a weight is in panels of split numbers, [N'/16, k'/32, 2, 16, 16, 2]: every tile of high
/// halves is followed by that of the low ones, kTileNumbers further.
BERTHA_INLINE constexpr std::size_t in_split_panels(std::size_t output, std::size_t input,
                                                    const PanelLayout<bf16>& halves) {
  const std::size_t high = halves.at(output, input);
  return high + high / kTileNumbers<bf16> * kTileNumbers<bf16>;
}

}  // namespace kernels

BERTHA_NAMESPACE_END
