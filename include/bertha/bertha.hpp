// bertha: BERT-family encoders on CPUs. Text in; label, entities with offsets, answer or vector out. Include this.

#pragma once

#include <bertha/version.hpp>  // first: where bertha can't be, it says so before a header that isn't there does

#include <bertha/pipelines/embedder.hpp>
#include <bertha/pipelines/entity_recognizer.hpp>
#include <bertha/pipelines/fill_mask.hpp>
#include <bertha/pipelines/question_answerer.hpp>
#include <bertha/pipelines/reranker.hpp>
#include <bertha/pipelines/text_classifier.hpp>
#include <bertha/pipelines/zero_shot_classifier.hpp>
