// What is found in a text: a labelled token, or an entity of several.

#pragma once

#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/label_score.hpp>
#include <cstddef>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A token with its label or, aggregated, the tokens of one entity. text.substr(start, end - start) is its text.
struct Entity {
  std::string label;      ///< of a group: without B- or I-
  float score = 0;        ///< probability of the label; of a group: the mean over its tokens or words
  std::size_t index = 0;  ///< of the token in its window, [CLS] being 0; of a group: of its first token
  std::string word;       ///< the token, or the group's tokens put together again; as the vocabulary has them
  std::size_t start = 0;  ///< bytes of the text, half-open
  std::size_t end = 0;
  std::vector<LabelScore> top_labels = {};  ///< the best of the token, if EntityOptions::top_k asks for them
};

/// The entities of a text in their order.
struct Entities {
  std::vector<Entity> entities;
  InputInfo info;

  auto begin() const { return entities.begin(); }
  auto end() const { return entities.end(); }
  std::size_t size() const { return entities.size(); }
  bool empty() const { return entities.empty(); }
  const Entity& operator[](std::size_t i) const { return entities[i]; }
};

BERTHA_NAMESPACE_END
