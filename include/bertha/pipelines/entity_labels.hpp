// The labels of a model as parts of entities: which of them go on with the one before, and which may follow it at all.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/pipelines/entity_options.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// A label in parts: B-LOC is {begin, LOC}. A group is named after all that follows the first hyphen, whatever is
/// before it: so says transformers.
struct EntityLabel {
  enum class Part : std::uint8_t { plain, begin, inside, end, single } part = Part::plain;
  std::string_view tag;  // what its entity's tokens have in common
  std::string_view group_name;
  std::size_t type = 0;     // number of the tag
  bool ignored = false;     // under the name that the strategy shows
  bool needs_open = false;  // is valid only after a token that begins or goes on with its tag
  bool stays_open = false;  // must be followed by a token that goes on with its tag

  bool goes_on() const { return part == Part::inside || part == Part::end; }
  bool is_open() const { return part == Part::begin || part == Part::inside; }
};

/// The labels of a model, by number; of whose strings the parts are views.
class EntityLabels {
 public:
  /// Throws Error{input} for a scheme that is not the labels' when that matters.
  EntityLabels(const std::vector<std::string>& labels, const EntityOptions& options);

  const EntityLabel& operator[](std::size_t label) const { return labels_[label]; }
  std::size_t size() const { return labels_.size(); }
  std::size_t types() const { return types_; }

  /// True when a token with this label belongs to the entity of the token before it.
  bool continues(std::size_t label, std::size_t before) const {
    using Part = EntityLabel::Part;
    const EntityLabel &a = labels_[before], &b = labels_[label];
    const bool begins = b.part == Part::begin || b.part == Part::single;
    const bool ended = a.part == Part::end || a.part == Part::single;
    return !begins && !ended && a.tag == b.tag;
  }

 private:
  void read_part(EntityLabel& label, std::string_view name, LabelScheme scheme) const;
  void find_rules();

  std::vector<EntityLabel> labels_;
  std::size_t types_ = 0;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION EntityLabels::EntityLabels(const std::vector<std::string>& labels, const EntityOptions& options) {
  std::vector<std::string_view> ignored(options.ignore_labels.begin(), options.ignore_labels.end());
  std::sort(ignored.begin(), ignored.end());
  const bool grouped = options.aggregation_strategy != AggregationStrategy::none;
  for (const std::string_view name : labels) {
    const std::size_t hyphen = name.find('-');
    EntityLabel label;
    label.tag = name;
    label.group_name = hyphen == std::string_view::npos ? name : name.substr(hyphen + 1);
    label.ignored = std::binary_search(ignored.begin(), ignored.end(), grouped ? label.group_name : name);
    read_part(label, name, options.label_scheme);
    labels_.push_back(label);
  }
  find_rules();
  if (options.decoding == LabelDecoding::independent || options.label_scheme != LabelScheme::bio) return;
  for (const EntityLabel& label : labels_) {
    EntityLabel read;
    read_part(read, label.tag, LabelScheme::bioes);
    const auto begins = [&](const EntityLabel& one) {
      return one.part == EntityLabel::Part::begin && one.tag == read.tag;
    };
    if (label.part == EntityLabel::Part::plain && read.part != label.part &&
        std::any_of(labels_.begin(), labels_.end(), begins))
      throw_error(ErrorCode::input,
                  {"decoding is valid and label_scheme bio, but the model has the labels ", shown(label.tag), " and ",
                   shown("B-" + std::string(read.tag)), ": set label_scheme to bioes"});
  }
}

BERTHA_FUNCTION void EntityLabels::read_part(EntityLabel& label, std::string_view name, LabelScheme scheme) const {
  using Part = EntityLabel::Part;
  if (name.size() < 2 || name[1] != '-') return;
  const bool all = scheme == LabelScheme::bioes;
  switch (name[0]) {
    case 'B': label.part = Part::begin; break;
    case 'I': label.part = Part::inside; break;
    case 'M': label.part = all ? Part::inside : Part::plain; break;
    case 'E':
    case 'L': label.part = all ? Part::end : Part::plain; break;
    case 'S':
    case 'U': label.part = all ? Part::single : Part::plain; break;
    default: break;
  }
  if (label.part != Part::plain) label.tag = name.substr(2);
}

/// A rule holds for a tag as far as the model has the labels for it: where there is no B-X, an entity begins with I-X.
BERTHA_FUNCTION void EntityLabels::find_rules() {
  using Part = EntityLabel::Part;
  std::vector<std::string_view> tags;
  for (const EntityLabel& label : labels_) tags.push_back(label.tag);
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  types_ = tags.size();
  struct Has {
    bool begin = false, inside = false, end = false;
  };
  std::vector<Has> has(types_);
  for (EntityLabel& label : labels_) {
    label.type = static_cast<std::size_t>(std::lower_bound(tags.begin(), tags.end(), label.tag) - tags.begin());
    has[label.type].begin |= label.part == Part::begin;
    has[label.type].inside |= label.part == Part::inside;
    has[label.type].end |= label.part == Part::end;
  }
  for (EntityLabel& label : labels_) {
    const Has& its = has[label.type];
    label.needs_open =
        (label.part == Part::inside && its.begin) || (label.part == Part::end && (its.begin || its.inside));
    label.stays_open = label.is_open() && its.end;
  }
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
