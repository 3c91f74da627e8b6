//! `scripts/setup --vulkan` and `--software-device`.

use super::{MANAGERS, Machine, calls};

/// The names of the Vulkan packages for each manager, in the order of [`MANAGERS`], and of the software device.
const PACKAGES: [(&[&str], &str); 4] = [
    (&["libvulkan-dev", "spirv-headers", "glslc"], "mesa-vulkan-drivers"),
    (&["vulkan-headers", "vulkan-loader-devel", "spirv-headers-devel", "glslc"], "mesa-vulkan-drivers"),
    (&["vulkan-headers", "vulkan-icd-loader", "spirv-headers", "shaderc"], "vulkan-swrast"),
    (&["vulkan-headers", "vulkan-loader", "spirv-headers", "shaderc"], "mesa"),
];

const HEADER: &str = "usr/include/vulkan/vulkan_core.h";
const DEBIAN_12: &str =
    "PRETTY_NAME=\"Debian 12\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n";

/// The lines of `vulkan_core.h` with its version, and of an extension that llama.cpp uses.
fn header(minor: u32, patch: u32, extension: &str) -> String {
    format!(
        "#ifndef VULKAN_CORE_H_\n#define VK_HEADER_VERSION {patch}\n\
         #define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, {minor}, VK_HEADER_VERSION)\n\
         #define {extension} 1\n"
    )
}

/// A Linux machine with what the build without GPUs needs.
fn linux() -> Machine {
    let machine = Machine::new().with("cmake", "").with("c++", "").with("uname", "echo Linux");
    machine.with_library("usr/lib/llvm-14/lib/libclang.so.1").with("rm", "exec /bin/rm \"$@\"")
}

/// With all of Vulkan that is not a header of its own.
fn with_vulkan(machine: Machine, header: &str) -> Machine {
    machine
        .with("glslc", "")
        .with_library("usr/lib/x86_64-linux-gnu/libvulkan.so")
        .with_library("usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake")
        .with_file(HEADER, header)
}

/// Debian 12, with stand-ins that download and unpack empty packages.
fn debian_12() -> Machine {
    let machine = linux().with_file("etc/os-release", DEBIAN_12).with("mkdir", "exec /bin/mkdir \"$@\"");
    machine
        .recording(
            "apt-get",
            "case \"$*\" in indextargets*) echo http://mirror/debian/ ;; *download*) : > one.deb ;; esac",
        )
        .recording("dpkg-deb", "")
}

#[test]
fn every_package_manager_installs_what_vulkan_needs() {
    for ((manager, how, _), (packages, device)) in MANAGERS.into_iter().zip(PACKAGES) {
        let found = linux().recording(manager, "").set_up_with(&["--vulkan"]);
        assert_eq!(found.calls, calls(how, packages), "{manager}: {}", found.said);
        let found = linux().recording(manager, "").set_up_with(&["--software-device"]);
        assert_eq!(found.calls, calls(how, &[device]), "{manager}: {}", found.said);
        let machine = with_vulkan(linux(), &header(4, 309, "VK_EXT_layer_settings")).recording(manager, "");
        let found = machine.set_up_with(&["--vulkan"]);
        assert_eq!((found.code, found.said.as_str(), found.calls.len()), (0, "", 0), "{manager}");
        assert_eq!(linux().recording(manager, "").set_up().calls.len(), 0, "without the option");
    }
}

#[test]
fn newer_headers_are_unpacked_on_debian_12() {
    let machine = with_vulkan(debian_12(), &header(3, 239, "VK_KHR_surface"));
    let found = machine.set_up_with(&["--vulkan"]);
    assert_eq!(found.code, 0, "{}", found.said);
    assert!(
        found.said.starts_with("setup: the Vulkan headers of Debian 12 are too old: 1.3.239, "),
        "{}",
        found.said
    );
    let called = |text: &str| found.calls.iter().any(|call| call.contains(text));
    assert!(called("Codename: bookworm") && called(" update"), "{:?}", found.calls);
    assert!(
        called(" download libvulkan-dev spirv-headers") && called("dpkg-deb -x one.deb .."),
        "{:?}",
        found.calls
    );
    assert!(!called("install"), "{:?}", found.calls);

    let machine = machine
        .with_file("unpacked/usr/include/vulkan/vulkan_core.h", &header(4, 309, "VK_EXT_layer_settings"));
    let calls = found.calls.len();
    let again = machine.set_up_with(&["--vulkan"]);
    assert_eq!(
        (again.code, again.said.as_str(), again.calls.len()),
        (0, "", calls),
        "they are unpacked once"
    );
}

#[test]
fn headers_that_are_too_old_are_named_elsewhere() {
    let ubuntu = linux().with_file("etc/os-release", "PRETTY_NAME=\"Ubuntu 22.04\"\nID=ubuntu\n");
    let machine = with_vulkan(ubuntu, &header(3, 204, "VK_KHR_surface")).recording("apt-get", "");
    let found = machine.set_up_with(&["--vulkan"]);
    assert_eq!((found.code, found.calls.len()), (1, 0));
    assert_eq!(
        found.said,
        "setup: the Vulkan headers of Ubuntu 22.04 are too old: 1.3.204, without VK_EXT_layer_settings; \
         install the Vulkan SDK and set VULKAN_SDK to its folder\n"
    );
}

#[test]
fn a_shader_compiler_without_matrix_units_is_noted() {
    let machine = with_vulkan(linux(), &header(4, 309, "VK_EXT_layer_settings")).with("glslc", "exit 1");
    let found = machine.with_file("etc/os-release", DEBIAN_12).set_up_with(&["--vulkan"]);
    assert_eq!(found.code, 0);
    assert!(
        found.said.starts_with("setup: note: glslc of Debian 12 is too old for the matrix units"),
        "{}",
        found.said
    );
}

#[test]
fn a_newer_software_device_is_unpacked_on_debian_12() {
    let machine = debian_12()
        .with_library("usr/share/vulkan/icd.d/lvp_icd.x86_64.json")
        .with_library("unpacked/device/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so");
    let found = machine.set_up_with(&["--software-device"]);
    assert_eq!(found.code, 0, "{}", found.said);
    assert!(
        found.said.contains("the software device of Debian 12 is too old: Mesa 22.3\n"),
        "{}",
        found.said
    );
    assert!(
        found.calls.iter().any(|call| call.contains(" download mesa-vulkan-drivers ")),
        "{:?}",
        found.calls
    );
    let unpacked = machine.dir.path().join("unpacked");
    let text = std::fs::read_to_string(unpacked.join("software.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let library = std::path::Path::new(manifest["ICD"]["library_path"].as_str().unwrap());
    assert!(library.is_absolute() && library.exists(), "{library:?}");
    let again = machine.set_up_with(&["--software-device"]);
    assert_eq!((again.code, again.said.as_str()), (0, ""));
}

#[test]
fn a_build_that_failed_before_is_configured_again() {
    let built = "target/release/build/llama-cpp-sys-2-0/out";
    let failed = "target/release/build/llama-cpp-sys-2-1/out";
    let other = "target/debug/build/llama-cpp-sys-2-2/out";
    let machine = with_vulkan(linux(), &header(4, 309, "VK_EXT_layer_settings"))
        .with_file(&format!("{built}/build/CMakeCache.txt"), "GGML_VULKAN:UNINITIALIZED=ON\n")
        .with_library(&format!("{built}/lib/libggml-vulkan.a"))
        .with_file(&format!("{failed}/build/CMakeCache.txt"), "A:BOOL=ON\nGGML_VULKAN:UNINITIALIZED=ON\n")
        .with_file(&format!("{other}/build/CMakeCache.txt"), "GGML_VULKAN:BOOL=OFF\n");
    assert_eq!(machine.set_up_with(&["--vulkan"]).code, 0);
    let exists = |folder: &str| machine.dir.path().join(folder).join("build/CMakeCache.txt").exists();
    assert_eq!((exists(built), exists(failed), exists(other)), (true, false, true));
}

#[test]
fn macos_is_refused_with_the_feature_that_works_there() {
    let found = linux().with("uname", "echo Darwin").recording("brew", "").set_up_with(&["--vulkan"]);
    assert_eq!((found.code, found.calls.len()), (1, 0));
    assert_eq!(
        found.said,
        "setup: the Vulkan backend cannot be linked on macOS; build with --features metal\n"
    );
}

#[test]
fn an_unknown_argument_is_refused() {
    let found = linux().set_up_with(&["--cuda"]);
    assert_eq!(found.code, 2);
    assert_eq!(
        found.said,
        "setup: unknown argument --cuda, expected --vulkan, --software-device or --browser\n"
    );
}
