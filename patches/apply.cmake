# Builds llama.cpp from a copy with the patches in `llama.cpp/` applied. `CMAKE_PROJECT_INCLUDE` in `.cargo/config.toml`
# names this file, so CMake includes it at the end of every `project()`, of which the first is llama.cpp's.

if(NOT PROJECT_NAME STREQUAL "llama.cpp" OR NOT CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    return()
endif()

# The patches: their files, the digest that `GGML_PATCHES` must have, and the names that the engine reports.
file(GLOB ggrun_patches LIST_DIRECTORIES false "${CMAKE_CURRENT_LIST_DIR}/llama.cpp/*.patch")
set(ggrun_digest "")
set(ggrun_names "")
set(ggrun_changed "")
foreach(patch IN LISTS ggrun_patches)
    get_filename_component(name "${patch}" NAME_WE)
    string(SUBSTRING "${name}" 0 4 number)
    file(SHA256 "${patch}" hash)
    string(SUBSTRING "${hash}" 0 12 hash)
    list(APPEND ggrun_digest "${number}-${hash}")
    list(APPEND ggrun_names "${name}")
    file(STRINGS "${patch}" lines REGEX "^\\+\\+\\+ b/")
    foreach(line IN LISTS lines)
        string(REGEX REPLACE "^\\+\\+\\+ b/([^\t]+).*" "\\1" file "${line}")
        list(APPEND ggrun_changed "${file}")
    endforeach()
endforeach()
string(REPLACE ";" "," ggrun_digest "${ggrun_digest}")
string(REPLACE ";" " " ggrun_names "${ggrun_names}")
# From the environment: the binding configures only once, so CMake's cache would have the digest of that time.
if(NOT "$ENV{GGML_PATCHES}" STREQUAL "${ggrun_digest}")
    message(FATAL_ERROR
        "GGML_PATCHES in .cargo/config.toml is `$ENV{GGML_PATCHES}`, expected `${ggrun_digest}`")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ggrun_patches}
    "${CMAKE_CURRENT_LIST_DIR}/llama.cpp" "${CMAKE_CURRENT_LIST_DIR}/../.cargo/config.toml")

# The headers that `scripts/setup --vulkan` unpacks where those of the system are too old. They replace what an earlier
# configuration found.
set(ggrun_vulkan "${CMAKE_CURRENT_LIST_DIR}/../target/vulkan/usr")
if(GGML_VULKAN AND EXISTS "${ggrun_vulkan}/include/vulkan/vulkan.h")
    set(Vulkan_INCLUDE_DIR "${ggrun_vulkan}/include" CACHE PATH "" FORCE)
    set(SPIRV-Headers_DIR "${ggrun_vulkan}/share/cmake/SPIRV-Headers" CACHE PATH "" FORCE)
endif()

# The copy is made again when the patches or llama.cpp change. Copies keep their modification times, so that only changed
# files are compiled again.
set(ggrun_copy "${CMAKE_BINARY_DIR}/patched")
set(ggrun_stamp "${CMAKE_BINARY_DIR}/patched.stamp")
set(ggrun_touched "${CMAKE_BINARY_DIR}/patched.files")
set(ggrun_found "")
if(EXISTS "${ggrun_stamp}")
    file(READ "${ggrun_stamp}" ggrun_found)
endif()
if(NOT ggrun_found STREQUAL "${CMAKE_SOURCE_DIR} ${ggrun_names} ${ggrun_digest}")
    find_program(GGRUN_GIT git)
    find_program(GGRUN_PATCH patch)
    file(REMOVE "${ggrun_stamp}")
    file(REMOVE_RECURSE "${ggrun_copy}")
    file(COPY "${CMAKE_SOURCE_DIR}/" DESTINATION "${ggrun_copy}")
    foreach(patch IN LISTS ggrun_patches)
        if(GGRUN_GIT)
            # git applies without fuzz. It must not use a repository that contains the build folder.
            set(command "${CMAKE_COMMAND}" -E env "GIT_DIR=${ggrun_copy}/.none" "${GGRUN_GIT}" -c core.autocrlf=false
                apply --whitespace=nowarn "${patch}")
        elseif(GGRUN_PATCH)
            set(command "${GGRUN_PATCH}" -p1 -F0 -f -i "${patch}")
        else()
            message(FATAL_ERROR "patching llama.cpp requires `git` or `patch`, but neither was found")
        endif()
        execute_process(COMMAND ${command} WORKING_DIRECTORY "${ggrun_copy}" RESULT_VARIABLE status
            OUTPUT_VARIABLE said ERROR_VARIABLE said)
        if(NOT status EQUAL 0)
            message(FATAL_ERROR "${patch} does not apply to ${CMAKE_SOURCE_DIR}:\n${said}")
        endif()
    endforeach()
    file(WRITE "${ggrun_copy}/ggml/src/ggml-rpc/ggrun-patches.h" "#define GGRUN_PATCHES \"${ggrun_names}\"\n")
    if(EXISTS "${ggrun_touched}")
        file(STRINGS "${ggrun_touched}" before)
        foreach(file IN LISTS before)
            file(TOUCH_NOCREATE "${ggrun_copy}/${file}")
        endforeach()
    endif()
    string(REPLACE ";" "\n" ggrun_changed "${ggrun_changed}")
    file(WRITE "${ggrun_touched}" "${ggrun_changed}\n")
    file(WRITE "${ggrun_stamp}" "${CMAKE_SOURCE_DIR} ${ggrun_names} ${ggrun_digest}")
endif()
message(STATUS "llama.cpp with ${ggrun_names}")

# The sources of `common` that the binding needs. The others are for llama.cpp's own programs, and take minutes to compile.
set(ggrun_common common fit json json-schema json-schema-to-grammar log ngram-cache ngram-map ngram-mod reasoning-budget
    sampling speculative trie unicode)

# llama.cpp's directories are added from the copy. Their subdirectories follow, because they are relative.
macro(add_subdirectory directory)
    if(CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR AND EXISTS "${ggrun_copy}/${directory}")
        _add_subdirectory("${ggrun_copy}/${directory}" "${directory}" ${ARGN})
        if("${directory}" STREQUAL "common" AND NOT LLAMA_BUILD_TESTS AND NOT LLAMA_BUILD_TOOLS
                AND NOT LLAMA_BUILD_EXAMPLES AND NOT LLAMA_BUILD_SERVER AND NOT LLAMA_BUILD_APP)
            list(TRANSFORM ggrun_common APPEND ".cpp")
            set_target_properties(llama-common PROPERTIES SOURCES "${ggrun_common}")
        endif()
    else()
        _add_subdirectory("${directory}" ${ARGN})
    endif()
endmacro()
