# The building blocks every CMakeLists.txt below uses; none of them lists files, a new .c file only needs to exist.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# penstock_package(<target> <pkg-config module>...): makes third-party code available as one imported target.
function(penstock_package name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${ARGN})
endfunction()

# penstock_lib(<name> [DEPS lib...] [PRIVATE third-party...]): libs/<name> with include/ and src/.
function(penstock_lib name)
  cmake_parse_arguments(arg "" "" "DEPS;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/libs/${name}/src/*.c)
  add_library(penstock_${name} STATIC ${sources})
  target_include_directories(penstock_${name} PUBLIC ${CMAKE_SOURCE_DIR}/libs/${name}/include PRIVATE ${CMAKE_SOURCE_DIR}/libs/${name}/src)
  list(TRANSFORM arg_DEPS PREPEND penstock_)
  target_link_libraries(penstock_${name} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE})
endfunction()

# penstock_sql(<target> <folder> <symbol>): embeds the named statements of <folder>/*.sql as <symbol>_sql.h/.c.
function(penstock_sql target folder symbol)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.sql)
  set(generated ${CMAKE_BINARY_DIR}/generated/${symbol})
  file(MAKE_DIRECTORY ${generated})
  add_custom_command(
    OUTPUT ${generated}/${symbol}_sql.c ${generated}/${symbol}_sql.h
    COMMAND awk -v symbol=${symbol} -v out=${generated} -f ${CMAKE_SOURCE_DIR}/cmake/embed_sql.awk ${files}
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed_sql.awk
    COMMENT "Embedding SQL of ${symbol}" VERBATIM)
  target_sources(${target} PRIVATE ${generated}/${symbol}_sql.c ${generated}/${symbol}_sql.h)
  target_include_directories(${target} PUBLIC ${generated})
endfunction()

# penstock_service(<name> [DEPS lib...]): services/<name>: everything but main.c is a library (tests link it), main.c
# becomes bin/penstock-<name>.
function(penstock_service name)
  cmake_parse_arguments(arg "" "" "DEPS;PRIVATE" ${ARGN})
  set(root ${CMAKE_SOURCE_DIR}/services/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${root}/src/*.c)
  add_library(penstock_service_${name} STATIC ${sources})
  target_include_directories(penstock_service_${name} PUBLIC ${root}/src)
  list(TRANSFORM arg_DEPS PREPEND penstock_)
  target_link_libraries(penstock_service_${name} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE})
  penstock_sql(penstock_service_${name} ${root}/sql ${name})
  add_executable(penstock-${name} ${root}/main.c)
  target_link_libraries(penstock-${name} PRIVATE penstock_service_${name})
endfunction()

# penstock_test(<name> [DEPS lib...]): tests/unit/<name>.c or the given SOURCES, a cmocka program that prints TAP.
function(penstock_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  list(TRANSFORM arg_DEPS PREPEND penstock_)
  target_link_libraries(test_${name} PRIVATE ${arg_DEPS} ${arg_PRIVATE} PkgConfig::CMOCKA)
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/support)
endfunction()

# penstock_fuzz(<name> [DEPS lib...]): tests/fuzz/<name>.c with LLVMFuzzerTestOneInput; in the fuzz preset only.
function(penstock_fuzz name)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  if(NOT PENSTOCK_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/${name}.c)
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  list(TRANSFORM arg_DEPS PREPEND penstock_)
  target_link_libraries(fuzz_${name} PRIVATE ${arg_DEPS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()

# Adds every folder below this one that has a CMakeLists.txt of its own.
function(penstock_subdirectories)
  file(GLOB lists CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
  foreach(list IN LISTS lists)
    cmake_path(GET list PARENT_PATH folder)
    add_subdirectory(${folder})
  endforeach()
endfunction()
