include_guard(GLOBAL)
include(FetchContent)

# bertha_dependency(<package> <version> TARGET <target> GIT_REPOSITORY <url> GIT_TAG <tag>)
#
# Takes <target> from an installed package of at least <version>; where there is none, builds the named release from its
# repository. FETCHCONTENT_SOURCE_DIR_<PACKAGE> names a local copy for machines without a network.
# Either way its headers are system headers to those who link it, so that their warning flags don't apply to it.
function(bertha_dependency package version)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "TARGET;GIT_REPOSITORY;GIT_TAG" "")
  if(TARGET ${arg_TARGET})
    return()
  endif()
  find_package(${package} ${version} QUIET)
  if(${package}_FOUND)
    message(STATUS "bertha: ${package} ${${package}_VERSION}, installed")
    # A found target is visible in the folder that looked for it; whoever adds bertha as a folder needs it too.
    get_target_property(imported ${arg_TARGET} IMPORTED)
    if(imported)
      set_target_properties(${arg_TARGET} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
    return()
  endif()
  message(STATUS "bertha: ${package} is not installed, taking ${arg_GIT_TAG} from ${arg_GIT_REPOSITORY}")
  FetchContent_Declare(${package} GIT_REPOSITORY ${arg_GIT_REPOSITORY} GIT_TAG ${arg_GIT_TAG} GIT_SHALLOW TRUE)
  FetchContent_MakeAvailable(${package})
  get_target_property(real ${arg_TARGET} ALIASED_TARGET)
  if(NOT real)
    set(real ${arg_TARGET})
  endif()
  get_target_property(folders ${real} INTERFACE_INCLUDE_DIRECTORIES)
  set_target_properties(${real} PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${folders}")
endfunction()
