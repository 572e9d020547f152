// bertha: BERT-family encoders on CPUs. Text in; label, entities with offsets, or answer out. Include this.

#pragma once

#include <bertha/pipelines/entity_recognizer.hpp>
#include <bertha/pipelines/question_answerer.hpp>
#include <bertha/pipelines/text_classifier.hpp>
