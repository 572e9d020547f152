# bertha_find_sentencepiece(): the target bertha::sentencepiece_library, if SentencePiece is installed, 0.1.97 or newer.
#
# Its packages have no file for CMake, and only pkg-config's tells the release: what is looked for is what came with 0.1.97.
# An installed bertha brings this file, for those who ask for its component `sentencepiece`.
function(bertha_find_sentencepiece)
  if(TARGET bertha::sentencepiece_library)
    return()
  endif()
  find_path(BERTHA_SENTENCEPIECE_INCLUDE_DIR sentencepiece_processor.h)
  find_library(BERTHA_SENTENCEPIECE_LIBRARY sentencepiece)
  mark_as_advanced(BERTHA_SENTENCEPIECE_INCLUDE_DIR BERTHA_SENTENCEPIECE_LIBRARY)
  if(NOT BERTHA_SENTENCEPIECE_INCLUDE_DIR OR NOT BERTHA_SENTENCEPIECE_LIBRARY)
    return()
  endif()
  file(STRINGS ${BERTHA_SENTENCEPIECE_INCLUDE_DIR}/sentencepiece_processor.h needed REGEX "^class ImmutableSentencePieceText ")
  if(NOT needed)
    message(STATUS "bertha: ${BERTHA_SENTENCEPIECE_LIBRARY} is older than SentencePiece 0.1.97")
    return()
  endif()
  add_library(bertha::sentencepiece_library UNKNOWN IMPORTED GLOBAL)
  set_target_properties(bertha::sentencepiece_library PROPERTIES IMPORTED_LOCATION ${BERTHA_SENTENCEPIECE_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${BERTHA_SENTENCEPIECE_INCLUDE_DIR})
endfunction()
