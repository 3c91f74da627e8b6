// A Vulkan layer that makes any device fail, for tests. GGRUN_FAULT is what fails, from its GGRUN_FAULT_AFTER-th call on:
//   hang    vkCreateComputePipelines does not return
//   lost    vkQueueSubmit, vkGetFenceStatus and vkWaitForFences return VK_ERROR_DEVICE_LOST
//   crash   vkQueueSubmit writes to address 0
//   memory  vkAllocateMemory returns VK_ERROR_OUT_OF_DEVICE_MEMORY
// The file GGRUN_FAULT_MARK is created when it first fails.
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

// One instance and one device at a time.
static VkInstance the_instance;
static PFN_vkGetInstanceProcAddr next_instance;
static PFN_vkGetDeviceProcAddr next_device;
static VkDevice device;
static atomic_int calls;

// Whether this call, which is one of those that `kind` makes fail, fails.
static int fails(const char * kind, int counts) {
    const char * wanted = getenv("GGRUN_FAULT");
    if (wanted == NULL || strcmp(wanted, kind) != 0) {
        return 0;
    }
    const char * after = getenv("GGRUN_FAULT_AFTER");
    const int limit = after ? atoi(after) : 1;
    const int number = counts ? atomic_fetch_add(&calls, 1) + 1 : atomic_load(&calls);
    if (number < limit) {
        return 0;
    }
    const char * mark = getenv("GGRUN_FAULT_MARK");
    if (mark != NULL) {
        const int file = open(mark, O_CREAT | O_WRONLY, 0600);
        if (file >= 0) {
            close(file);
        }
    }
    return 1;
}

#define NEXT(name) ((PFN_##name) next_device(device, #name))

static VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice d, VkPipelineCache cache, uint32_t count,
        const VkComputePipelineCreateInfo * infos, const VkAllocationCallbacks * allocator, VkPipeline * pipelines) {
    while (fails("hang", 1)) {
        sleep(1000);
    }
    return NEXT(vkCreateComputePipelines)(d, cache, count, infos, allocator, pipelines);
}

// A device that is lost computes no longer, so what it computed before can be freed.
static VkResult lost(void) {
    NEXT(vkDeviceWaitIdle)(device);
    return VK_ERROR_DEVICE_LOST;
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo * infos, VkFence fence) {
    if (fails("lost", 1)) {
        return lost();
    }
    if (fails("crash", 1)) {
        *(volatile int *) 0 = 0;
    }
    return NEXT(vkQueueSubmit)(queue, count, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL fence_status(VkDevice d, VkFence fence) {
    return fails("lost", 0) ? lost() : NEXT(vkGetFenceStatus)(d, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL wait_fences(VkDevice d, uint32_t count, const VkFence * fences, VkBool32 all,
        uint64_t timeout) {
    return fails("lost", 0) ? lost() : NEXT(vkWaitForFences)(d, count, fences, all, timeout);
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice d, const VkMemoryAllocateInfo * info,
        const VkAllocationCallbacks * allocator, VkDeviceMemory * memory) {
    if (fails("memory", 1)) {
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    return NEXT(vkAllocateMemory)(d, info, allocator, memory);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo * info,
        const VkAllocationCallbacks * allocator, VkInstance * instance) {
    VkLayerInstanceCreateInfo * chain = (VkLayerInstanceCreateInfo *) info->pNext;
    while (chain->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO || chain->function != VK_LAYER_LINK_INFO) {
        chain = (VkLayerInstanceCreateInfo *) chain->pNext;
    }
    PFN_vkGetInstanceProcAddr next = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
    next_instance = next;
    const VkResult result = ((PFN_vkCreateInstance) next(NULL, "vkCreateInstance"))(info, allocator, instance);
    the_instance = *instance;
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo * info,
        const VkAllocationCallbacks * allocator, VkDevice * created) {
    VkLayerDeviceCreateInfo * chain = (VkLayerDeviceCreateInfo *) info->pNext;
    while (chain->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO || chain->function != VK_LAYER_LINK_INFO) {
        chain = (VkLayerDeviceCreateInfo *) chain->pNext;
    }
    PFN_vkGetInstanceProcAddr instance = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_device = chain->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
    const VkResult result =
        ((PFN_vkCreateDevice) instance(the_instance, "vkCreateDevice"))(physical, info, allocator, created);
    device = *created;
    return result;
}

static PFN_vkVoidFunction device_function(const char * name) {
    if (strcmp(name, "vkCreateComputePipelines") == 0) {
        return (PFN_vkVoidFunction) create_pipelines;
    }
    if (strcmp(name, "vkQueueSubmit") == 0) {
        return (PFN_vkVoidFunction) submit;
    }
    if (strcmp(name, "vkGetFenceStatus") == 0) {
        return (PFN_vkVoidFunction) fence_status;
    }
    if (strcmp(name, "vkWaitForFences") == 0) {
        return (PFN_vkVoidFunction) wait_fences;
    }
    return strcmp(name, "vkAllocateMemory") == 0 ? (PFN_vkVoidFunction) allocate : NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device(VkDevice d, const char * name) {
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        return (PFN_vkVoidFunction) get_device;
    }
    const PFN_vkVoidFunction ours = device_function(name);
    return ours ? ours : next_device(d, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance(VkInstance instance, const char * name) {
    if (strcmp(name, "vkGetInstanceProcAddr") == 0) {
        return (PFN_vkVoidFunction) get_instance;
    }
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        return (PFN_vkVoidFunction) get_device;
    }
    if (strcmp(name, "vkCreateInstance") == 0) {
        return (PFN_vkVoidFunction) create_instance;
    }
    if (strcmp(name, "vkCreateDevice") == 0) {
        return (PFN_vkVoidFunction) create_device;
    }
    return next_instance ? next_instance(instance, name) : NULL;
}

__attribute__((visibility("default")))
VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface * wanted) {
    wanted->loaderLayerInterfaceVersion = 2;
    wanted->pfnGetInstanceProcAddr = get_instance;
    wanted->pfnGetDeviceProcAddr = get_device;
    wanted->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
