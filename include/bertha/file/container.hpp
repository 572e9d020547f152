// The bytes of a model file, put together as tools/format.md, sections 1 and 2, and tools/bertha_convert have them.

#pragma once

#include <bertha/error.hpp>
#include <bertha/file/crc32.hpp>
#include <bertha/file/json_text.hpp>
#include <bertha/file/mapped_file.hpp>
#include <bertha/file/safetensors.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// A tensor that is to stand in a file; somebody else holds its bytes, whose number is a multiple of 64.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::u8;
  std::vector<std::size_t> shape;
  std::span<const std::byte> bytes;
};

/// Keys and texts of `__metadata__`, in the order of the file.
using MetadataToWrite = std::vector<std::pair<std::string, std::string>>;

/// The JSON header: metadata and then the tensors, whose CRCs become the last text of the metadata.
inline std::string container_header(const MetadataToWrite& metadata, const std::vector<TensorToWrite>& tensors) {
  std::string crcs = "{", header = "{\"__metadata__\":{", entries;
  std::size_t begin = 0;
  for (const TensorToWrite& tensor : tensors) {
    const std::string name = json_string(tensor.name);
    crcs += concat({crcs.size() > 1 ? "," : "", name, ":", crc32(tensor.bytes)});
    std::string shape;
    for (const std::size_t extent : tensor.shape) shape += concat({shape.empty() ? "" : ",", extent});
    const std::size_t end = begin + tensor.bytes.size();
    entries += concat({",", name, ":{\"dtype\":\"", bertha::name(tensor.dtype), "\",\"shape\":[", shape,
                       "],\"data_offsets\":[", begin, ",", end, "]}"});
    begin = end;
  }
  for (const auto& [key, text] : metadata) header += concat({json_string(key), ":", json_string(text), ","});
  return header + "\"crc32\":" + json_string(crcs + "}") + "}" + entries + "}";
}

/// The whole file, aligned to be loaded.
inline MappedFile container_of(const MetadataToWrite& metadata, const std::vector<TensorToWrite>& tensors) {
  const std::string header = container_header(metadata, tensors);
  const std::uint64_t length = (8 + header.size() + kFileAlignment - 1) / kFileAlignment * kFileAlignment - 8;
  std::vector<std::span<const std::byte>> parts = {std::as_bytes(std::span(&length, 1)),
                                                   std::as_bytes(std::span(header))};
  const std::string spaces(length - header.size(), ' ');
  parts.push_back(std::as_bytes(std::span(spaces)));
  for (const TensorToWrite& tensor : tensors) parts.push_back(tensor.bytes);
  return MappedFile::joined(parts);
}

}  // namespace detail

BERTHA_NAMESPACE_END
