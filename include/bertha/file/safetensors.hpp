// The container of a model file: the subset of safetensors that tools/format.md, sections 1 and 2, describes.
//
//     n (8 bytes, little endian) | JSON header, n bytes, padded with spaces | tensors without holes, in header order
//
// Everything is checked before anything is used: what `parse_safetensors` returns lies within the given bytes, starts
// on a 64-byte boundary of them and overlaps nothing.

#pragma once

#include <bertha/error.hpp>
#include <bertha/file/mapped_file.hpp>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <algorithm>
#include <bertha/file/json.hpp>
#include <bertha/file/json_object.hpp>
#endif
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

static_assert(std::endian::native == std::endian::little, "model files are little endian and used as they are");

BERTHA_NAMESPACE_BEGIN

/// The element types of tensors.
enum class DType : std::uint8_t { u8, i8, u32, i32, bf16, f32, f64 };

/// The name of a type, as safetensors writes it.
constexpr std::string_view name(DType type) noexcept {
  constexpr std::string_view names[] = {"U8", "I8", "U32", "I32", "BF16", "F32", "F64"};
  return names[static_cast<std::size_t>(type)];
}

/// Bytes of one element.
constexpr std::size_t element_size(DType type) noexcept {
  constexpr std::size_t sizes[] = {1, 1, 4, 4, 2, 4, 8};
  return sizes[static_cast<std::size_t>(type)];
}

/// One tensor of a file: where it lies and what it holds.
struct TensorInfo {
  std::string name;
  DType dtype = DType::u8;
  std::vector<std::size_t> shape;
  std::size_t offset = 0;  ///< bytes from the start of the file, a multiple of 64
  std::size_t size = 0;    ///< bytes, a multiple of 64
};

/// A checked container: the strings of `__metadata__`, and the tensors in file order.
struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::vector<TensorInfo> tensors;
};

/// Reads and checks the container in `file`, called `where` in messages.
/// Throws Error{format}, or Error{unsupported} for a newer format or an unknown element type.
BERTHA_FUNCTION Safetensors parse_safetensors(std::span<const std::byte> file, const std::string& where);

#if defined(BERTHA_DEFINES_FUNCTIONS)

namespace detail {

inline constexpr std::size_t kMaxHeader = 16777216;
inline constexpr std::size_t kMaxTensorName = 256;
inline constexpr std::size_t kMaxRank = 8;
inline constexpr std::size_t kMaxRelease = 32;  // characters of a release's number

/// Refuses formats newer than this release's. The release that wrote the file reads it, and `source` names that one.
inline void check_format(const std::map<std::string, std::string>& metadata, const std::string& where) {
  const auto format = metadata.find("format");
  if (format == metadata.end()) refuse_format(where, "__metadata__ has no 'format': this is no bertha model file");
  const std::string& number = format->second;
  if (number.empty() || number.size() > 9 || number.front() == '0' ||
      number.find_first_not_of("0123456789") != std::string::npos) {
    refuse_format(where, concat({"the format number is ", shown(number), ": this is no bertha model file"}));
  }
  if (std::stoul(number) <= BERTHA_FORMAT_VERSION) return;
  std::string release = "a newer release";
  if (const auto source = metadata.find("source"); source != metadata.end()) {
    const JsonDocument document = parse_json(source->second, where + ": source");
    for (const auto [key, value] : document.root().items()) {
      if (key == "converter" && value.is_string() && value.size() <= kMaxRelease) {
        release = concat({"bertha ", value.string(), " or newer"});
      }
    }
  }
  throw_error(ErrorCode::unsupported,
              {where, ": the file has format ", number, ", this release reads format ", BERTHA_FORMAT_VERSION,
               " and older. Use ", release, ", or convert the model again."});
}

inline std::map<std::string, std::string> read_metadata(Json header, const std::string& where) {
  std::map<std::string, std::string> metadata;
  for (const auto [name, value] : header.items()) {
    if (name != "__metadata__") continue;
    const JsonObject limited(value, where + ": __metadata__");  // of at most so many keys
    for (const auto [key, text] : value.items()) {
      if (!text.is_string()) {
        refuse_format(where, concat({"metadata ", shown(key), " must be a string, got ", text.shown()}));
      }
      metadata.emplace(key, text.string());
    }
    return metadata;
  }
  refuse_format(where, "the header has no '__metadata__': this is no bertha model file");
}

/// One entry of the header, which must start at byte `offset` of the tensors and end within `available`.
inline TensorInfo read_tensor(std::string_view name, Json json, std::size_t offset, std::size_t available,
                              const std::string& file) {
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (name.empty() || name.size() > kMaxTensorName || !printable) {
    refuse_format(file, concat({"the tensor name ", shown(name), " must have 1 to ", kMaxTensorName,
                                " characters, all of them printable ASCII"}));
  }
  JsonObject entry(json, concat({file, ": tensor '", name, "'"}));
  TensorInfo tensor{std::string(name), DType::u8, {}, 0, 0};
  tensor.dtype = entry.choice<DType>("dtype", {{"U8", DType::u8},
                                               {"I8", DType::i8},
                                               {"U32", DType::u32},
                                               {"I32", DType::i32},
                                               {"BF16", DType::bf16},
                                               {"F32", DType::f32},
                                               {"F64", DType::f64}});
  tensor.size = element_size(tensor.dtype);
  const Json shape = entry.list("shape");
  if (shape.size() > kMaxRank) entry.refuse("shape", concat({"a list of at most ", kMaxRank, " integers"}));
  tensor.shape.reserve(shape.size());
  for (const auto [axis, extent] : shape.items()) {
    if (!extent.is_natural() || __builtin_mul_overflow(tensor.size, extent.natural(), &tensor.size)) {
      entry.refuse("shape", "a list of integers whose product fits 64 bits");
    }
    tensor.shape.push_back(extent.natural());
  }
  const Json range = entry.list("data_offsets");
  if (range.size() != 2 || !range.element(0).is_natural() || !range.element(1).is_natural()) {
    entry.refuse("data_offsets", "two integers");
  }
  if (range.element(0).natural() != offset) {
    entry.refuse("data_offsets", concat({"without hole or overlap, from ", offset}));
  }
  const std::size_t end = range.element(1).natural();
  if (end < offset || end - offset != tensor.size) {
    entry.refuse("data_offsets", concat({tensor.size, " bytes long, as dtype and shape are"}));
  }
  if (end > available) {
    entry.refuse("data_offsets", concat({"within the file's ", available, " bytes of tensors"}));
  }
  if (tensor.size % kFileAlignment != 0) entry.refuse("data_offsets", "a multiple of 64 bytes long");
  entry.finish();
  return tensor;
}

}  // namespace detail

BERTHA_FUNCTION Safetensors parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  using detail::refuse_format;
  std::uint64_t header_size = 0;
  if (file.size() < sizeof header_size) refuse_format(where, "too short for a header");
  std::memcpy(&header_size, file.data(), sizeof header_size);
  if (header_size > detail::kMaxHeader) {
    refuse_format(where, concat({"the header's length is ", header_size, " bytes, at most ", detail::kMaxHeader,
                                 " are allowed"}));
  }
  const std::size_t data_begin = sizeof header_size + header_size;
  if (data_begin > file.size()) {
    refuse_format(where, concat({"the header should end at byte ", data_begin, ", the file ends at ", file.size()}));
  }
  if (data_begin % kFileAlignment != 0) {
    refuse_format(where, concat({"the header ends at byte ", data_begin, ", which must be a multiple of 64"}));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof header_size, header_size);
  const detail::JsonDocument document = detail::parse_json(text, where + ": header");
  const detail::Json header = document.root();
  if (!header.is_object()) refuse_format(where, "the header must be a JSON object");

  Safetensors result;
  result.metadata = detail::read_metadata(header, where);
  detail::check_format(result.metadata, where);  // first, so that a newer format's novelties don't look like damage
  const std::size_t available = file.size() - data_begin;
  std::size_t offset = 0;
  result.tensors.reserve(header.size());
  for (const auto [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    TensorInfo& tensor = result.tensors.emplace_back(detail::read_tensor(name, entry, offset, available, where));
    tensor.offset = data_begin + offset;
    offset += tensor.size;
  }
  if (offset != available) {
    refuse_format(where, concat({"the tensors end at byte ", data_begin + offset, ", the file at ", file.size()}));
  }
  return result;
}

#endif

BERTHA_NAMESPACE_END
