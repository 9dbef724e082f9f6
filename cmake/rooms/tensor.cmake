# tensor: LibTorch's tensors. Of image it includes the type of pixels, which needs no library.
include("${CMAKE_CURRENT_LIST_DIR}/../penstock_torch.cmake")
if(TARGET penstock::torch_cpu)
  penstock_room(tensor USES concurrency WITH image LIBS penstock::torch_cpu LIBRARY "LibTorch ${PENSTOCK_TORCH_VERSION}" HEADERS
    tensor/collate.hpp
    tensor/column.hpp
    tensor/device_batch.hpp
    tensor/normalise.hpp
    tensor/slab_pool.hpp
    tensor/to_device.hpp
  )
elseif(PENSTOCK_TORCH_MISSING)
  penstock_room_off(tensor "${PENSTOCK_TORCH_MISSING}" "${PENSTOCK_TORCH_GET}")
endif()
