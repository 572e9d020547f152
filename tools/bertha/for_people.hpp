// The same facts for people and for machines.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace program {

/// One line of JSON.
std::string for_machines(const nlohmann::ordered_json& facts);

/// A line for each fact, facts of one thing indented below its name; a list of things is a table.
std::string for_people(const nlohmann::ordered_json& facts);

}  // namespace program
