//! A model in memory, and its metadata.
#![expect(unsafe_code, reason = "calls C functions that the binding does not export")]

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_sys_2 as sys;

use super::rpc::Watch;
use super::{
    LlamaVocab, LoadMode, LoadParams, backend, busy, crash, devices, log, metadata, sampler, stream,
};
use crate::engine::{DecodeError, SamplingError, SamplingParams};

/// llama.cpp failed; its log lines are the only reason that it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// Its last warnings and errors, oldest first.
    pub log: Vec<String>,
}

/// A loaded model; clones share it.
#[derive(Debug, Clone)]
pub struct Weights {
    model: Arc<LlamaModel>,
    watch: Arc<Watch>,
    words: Arc<sampler::Words>,
}

impl Weights {
    /// Loads a model. `progress` gets the completed fraction, from 0 to 1, and cancels the load by returning false.
    ///
    /// # Errors
    ///
    /// When llama.cpp cannot, with its log.
    pub fn load(params: &LoadParams<'_>, progress: impl FnMut(f32) -> bool) -> Result<Self, LoadFailure> {
        let (loaded, mut log) = log::capture(|| busy::calling(|| open(params, progress)));
        match loaded {
            Ok((model, watch)) => {
                Ok(Self { model: Arc::new(model), watch: Arc::new(watch), words: Arc::default() })
            }
            Err(reason) => {
                log.extend(reason);
                Err(LoadFailure { log })
            }
        }
    }

    /// Checks sampling parameters.
    ///
    /// # Errors
    ///
    /// When a value is out of range, or a grammar or a schema is invalid.
    pub fn check_sampling(&self, params: &SamplingParams) -> Result<(), SamplingError> {
        sampler::check(&self.model, &self.words, params)
    }

    /// Checks that the workers that hold parts of it are still connected.
    ///
    /// # Errors
    ///
    /// When the connection to one was lost since the load began.
    pub(super) fn connected(&self) -> Result<(), DecodeError> {
        self.watch.lost().map_or(Ok(()), |endpoint| Err(DecodeError::WorkerLost { endpoint }))
    }

    pub(super) fn model(&self) -> &LlamaModel {
        &self.model
    }

    /// Its vocabulary for grammars.
    pub(super) fn words(&self) -> &sampler::Words {
        &self.words
    }

    /// Its vocabulary.
    #[must_use]
    pub fn vocab(&self) -> LlamaVocab {
        LlamaVocab::new(Arc::clone(&self.model))
    }

    /// Its chat template, if it has one.
    #[must_use]
    pub fn chat_template(&self) -> Option<String> {
        self.model.chat_template(None).ok()?.to_string().ok()
    }

    /// The longest context it was trained on.
    #[must_use]
    pub fn trained_context(&self) -> u32 {
        self.model.n_ctx_train()
    }

    /// Whether the attention of some layers sees only a window, and their KV cache forgets what is before it.
    pub(super) fn slides(&self) -> bool {
        const { assert!(size_of::<LlamaModel>() == size_of::<NonNull<sys::llama_model>>()) }
        // SAFETY: the binding's model is a `repr(transparent)` wrapper of its pointer, see the assertion.
        let model = unsafe { *ptr::from_ref(self.model()).cast::<*mut sys::llama_model>() };
        // SAFETY: the model lives, and the call reads one of its numbers.
        unsafe { sys::llama_model_n_swa(model) > 0 }
    }

    /// llama.cpp's description: architecture, size and type of the weights.
    #[must_use]
    pub fn description(&self) -> String {
        const { assert!(size_of::<LlamaModel>() == size_of::<NonNull<sys::llama_model>>()) }
        // SAFETY: the binding's model is a `repr(transparent)` wrapper of its pointer, see the assertion.
        let model = unsafe { *ptr::from_ref(self.model()).cast::<*mut sys::llama_model>() };
        let mut text = [0 as std::ffi::c_char; 128];
        // SAFETY: the model lives, and llama.cpp writes by `snprintf` with this length.
        unsafe { sys::llama_model_desc(model, text.as_mut_ptr(), text.len()) };
        // SAFETY: `snprintf` ends the text with a zero inside the buffer.
        unsafe { std::ffi::CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
    }

    /// Bytes of its tensors.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.model.size()
    }

    /// The number of its parameters.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.model.n_params()
    }

    /// A metadata value as text.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.model.meta_val_str(key).ok()
    }
}

/// Calls llama.cpp with parameters that the binding has no setters for. The workers are watched from before the load;
/// an error contains a reason that the log lacks.
fn open<P: FnMut(f32) -> bool>(
    params: &LoadParams<'_>,
    mut progress: P,
) -> Result<(LlamaModel, Watch), Option<String>> {
    // The binding's model is its pointer and nothing else: both its layers are `repr(transparent)`.
    const { assert!(size_of::<LlamaModel>() == size_of::<NonNull<sys::llama_model>>()) }
    backend::backend();
    let path = params.path.to_str().and_then(|path| CString::new(path).ok());
    let path = path.ok_or_else(|| Some("the path is not UTF-8".to_owned()))?;
    let mut handles = Vec::new();
    for name in params.devices {
        handles.push(devices::find(name).ok_or_else(|| Some(format!("unknown device `{name}`")))?);
    }
    let watch = Watch::over(&handles);
    if !handles.is_empty() {
        crash::uses(&handles.iter().map(|&handle| devices::label(handle)).collect::<Vec<_>>());
    }
    handles.push(ptr::null_mut());
    let patterns: Option<Vec<CString>> =
        params.overrides.iter().map(|o| CString::new(o.pattern.as_str()).ok()).collect();
    let patterns = patterns.ok_or_else(|| Some("an override contains a zero byte".to_owned()))?;
    let mut overrides = Vec::new();
    for (pattern, wanted) in patterns.iter().zip(params.overrides) {
        let buffer = &wanted.buffer;
        let buft = devices::buffer_type(buffer)
            .ok_or_else(|| Some(format!("there is no buffer type `{buffer}`")))?;
        overrides.push(sys::llama_model_tensor_buft_override { pattern: pattern.as_ptr(), buft });
    }
    overrides.push(sys::llama_model_tensor_buft_override { pattern: ptr::null(), buft: ptr::null_mut() });
    let metadata = metadata::raw(params.metadata)
        .ok_or_else(|| Some("a metadata override is longer than 127 bytes".to_owned()))?;
    // SAFETY: takes nothing and returns a number.
    let mut split = vec![0.0f32; unsafe { sys::llama_max_devices() }];
    for (to, from) in split.iter_mut().zip(params.tensor_split) {
        *to = *from;
    }
    // SAFETY: takes nothing and returns plain values.
    let mut raw = unsafe { sys::llama_model_default_params() };
    raw.devices = handles.as_mut_ptr();
    raw.tensor_buft_overrides = overrides.as_ptr();
    raw.n_gpu_layers = i32::try_from(params.gpu_layers).unwrap_or(i32::MAX);
    raw.split_mode = params.split_mode.raw();
    raw.main_gpu = i32::try_from(params.main_gpu).unwrap_or(i32::MAX);
    raw.tensor_split = split.as_ptr();
    raw.load_mode = params.load.raw();
    if params.load == LoadMode::Stream {
        stream::set_room(params.room);
        raw.lazy_mode = sys::LLAMA_LAZY_MODE_ON;
    }
    raw.use_extra_bufts = params.repack;
    if !params.metadata.is_empty() {
        raw.kv_overrides = metadata.as_ptr();
    }
    raw.check_tensors = params.check_tensors;
    raw.progress_callback = Some(report::<P>);
    raw.progress_callback_user_data = ptr::from_mut(&mut progress).cast();
    // SAFETY: path and lists live until after the call, and end with a zero, a null device, a null pattern and an empty key; the split
    // has one share for each possible device. llama.cpp copies the split (`llama_model::impl::tensor_split_owned`) and
    // the devices, uses patterns, buffer types, overrides of metadata and the callback during the load only, and reads none of the pointers
    // that it stores besides (`llama_model::params`) afterwards.
    let model = unsafe {
        let _registry = backend::registry();
        sys::llama_model_load_from_file(path.as_ptr(), raw)
    };
    let lost = watch.lost().map(|endpoint| DecodeError::WorkerLost { endpoint }.to_string());
    let model = NonNull::new(model).ok_or_else(|| lost.clone())?;
    // SAFETY: see the assertion above; the binding is pinned to one version, and its value becomes the model's only
    // owner.
    let model = unsafe { std::mem::transmute::<NonNull<sys::llama_model>, LlamaModel>(model) };
    // A load continues after a loss, but the weights are missing.
    if lost.is_some() { Err(lost) } else { Ok((model, watch)) }
}

/// llama.cpp reports progress to this function.
unsafe extern "C" fn report<P: FnMut(f32) -> bool>(done: f32, progress: *mut c_void) -> bool {
    // SAFETY: the pointer is that of the closure in `open`, which is used only here during the call. llama.cpp calls this
    // on the loading thread, one call at a time.
    let progress = unsafe { &mut *progress.cast::<P>() };
    progress(done)
}
