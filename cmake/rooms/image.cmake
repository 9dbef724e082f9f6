# image: libspng, libjpeg-turbo and zlib.
find_package(JPEG QUIET)
find_package(ZLIB QUIET)
find_path(PENSTOCK_SPNG_INCLUDE_DIR spng.h)
find_library(PENSTOCK_SPNG_LIBRARY spng)
mark_as_advanced(PENSTOCK_SPNG_INCLUDE_DIR PENSTOCK_SPNG_LIBRARY)
if(PENSTOCK_SPNG_INCLUDE_DIR AND PENSTOCK_SPNG_LIBRARY AND NOT TARGET penstock::spng)
  add_library(penstock::spng UNKNOWN IMPORTED)
  set_target_properties(penstock::spng PROPERTIES
    IMPORTED_LOCATION "${PENSTOCK_SPNG_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${PENSTOCK_SPNG_INCLUDE_DIR}")
endif()
if(TARGET penstock::spng AND JPEG_FOUND AND ZLIB_FOUND)
  penstock_room(image USES core LIBS penstock::spng JPEG::JPEG ZLIB::ZLIB LIBRARY "libspng, libjpeg-turbo, zlib ${ZLIB_VERSION_STRING}" HEADERS
    image/augment.hpp
    image/codec.hpp
    image/codec_options.hpp
    image/decode.hpp
    image/decode_jpeg.hpp
    image/decode_png.hpp
    image/encode_png.hpp
    image/geometry.hpp
    image/pixels.hpp
  )
endif()
