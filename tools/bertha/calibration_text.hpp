// The texts of calibration.txt, which the build makes a source of: what `quantize` calibrates on unless told otherwise.

#pragma once

#include <string_view>

namespace program {

/// A text per line.
extern const std::string_view kCalibrationText;

}  // namespace program
