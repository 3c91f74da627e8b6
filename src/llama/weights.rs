//! A model in memory, and what its metadata says.
#![expect(unsafe_code, reason = "calls C functions that the binding keeps to itself")]

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_sys_2 as sys;

use super::rpc::Watch;
use super::{
    Abort, CacheType, ContextParams, Flash, LlamaDecoder, LlamaVocab, LoadParams, backend, devices, log,
    metadata, sampler,
};
use crate::engine::{DecodeError, Pos, Row, SamplingError, SamplingParams, SeqId, Token};

/// llama.cpp could not; the lines it logged are all there is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// Its last warnings and errors, oldest first.
    pub log: Vec<String>,
}

/// A loaded model; clones share it.
#[derive(Debug, Clone)]
pub struct Weights {
    model: Arc<LlamaModel>,
    /// llama.cpp keeps a pointer to it as long as there are contexts.
    _split: Arc<[f32]>,
    watch: Arc<Watch>,
}

impl Weights {
    /// Loads a model. `progress` hears how much is done, from 0 to 1, and ends the load by returning false.
    ///
    /// # Errors
    ///
    /// When llama.cpp cannot, with what it logged.
    pub fn load(params: &LoadParams<'_>, progress: impl FnMut(f32) -> bool) -> Result<Self, LoadFailure> {
        let (loaded, mut log) = log::capture(|| open(params, progress));
        match loaded {
            Ok((model, split, watch)) => {
                Ok(Self { model: Arc::new(model), _split: split.into(), watch: Arc::new(watch) })
            }
            Err(reason) => {
                log.extend(reason);
                Err(LoadFailure { log })
            }
        }
    }

    /// Whether tokens can be chosen so.
    ///
    /// # Errors
    ///
    /// When a value is out of range, or a grammar or a schema is none.
    pub fn check_sampling(&self, params: &SamplingParams) -> Result<(), SamplingError> {
        sampler::check(&self.model, params)
    }

    /// Whether the workers that hold parts of it are still there.
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

    /// llama.cpp's words for it: architecture, size and type of the weights.
    #[must_use]
    pub fn description(&self) -> String {
        const { assert!(size_of::<LlamaModel>() == size_of::<NonNull<sys::llama_model>>()) }
        // SAFETY: see the assertion in `open`: the binding's model is its pointer and nothing else.
        let model = unsafe { *ptr::from_ref(self.model()).cast::<*mut sys::llama_model>() };
        let mut text = [0 as std::ffi::c_char; 128];
        // SAFETY: the model lives, and what is written ends with a zero within the length.
        unsafe { sys::llama_model_desc(model, text.as_mut_ptr(), text.len()) };
        // SAFETY: the buffer began as zeros and its last byte was not written to.
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

    /// The logits after every token of some sequences, which are read together: `[sequence][token][vocabulary]`.
    /// The KV cache is F32, so that what is compared is the weights.
    ///
    /// # Errors
    ///
    /// When the sequences cannot be read.
    pub fn logits(&self, sequences: &[&[Token]], threads: u32) -> Result<Vec<Vec<Vec<f32>>>, DecodeError> {
        let rows = rows(sequences);
        let longest = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (context, sequences) = (count(longest), count(sequences.len()));
        let params = ContextParams {
            sequences,
            context,
            batch: 512,
            ubatch: 512,
            threads,
            threads_batch: threads,
            cache_k: CacheType::F32,
            cache_v: CacheType::F32,
            flash: Flash::Off,
            kv_offload: true,
            rope: super::Rope::default(),
            abort: Abort::default(),
        };
        let mut decoder = LlamaDecoder::new(self, &params)
            .map_err(|_| DecodeError::Contract { what: "no context of this size can be made" })?;
        let mut logits = vec![Vec::new(); sequences as usize];
        for chunk in rows.chunks(crate::engine::Decoder::caps(&decoder).batch as usize) {
            decoder.read(chunk)?;
            for (index, row) in chunk.iter().enumerate() {
                logits[row.seq.0 as usize].push(decoder.logits(index).to_vec());
            }
            self.connected()?;
        }
        Ok(logits)
    }
}

/// Calls llama.cpp, which the binding does without most of the parameters. The split is to be kept as long as the
/// model, whose workers are watched from before the load; an error is what the log does not say.
fn open<P: FnMut(f32) -> bool>(
    params: &LoadParams<'_>,
    mut progress: P,
) -> Result<(LlamaModel, Vec<f32>, Watch), Option<String>> {
    // The binding's model is its pointer and nothing else, which `repr(transparent)` says of both its layers.
    const { assert!(size_of::<LlamaModel>() == size_of::<NonNull<sys::llama_model>>()) }
    backend::backend();
    let path = params.path.to_str().and_then(|path| CString::new(path).ok());
    let path = path.ok_or_else(|| Some("the path is not UTF-8".to_owned()))?;
    let mut handles = Vec::new();
    for name in params.devices {
        handles.push(devices::find(name).ok_or_else(|| Some(format!("there is no device `{name}`")))?);
    }
    let watch = Watch::over(&handles);
    handles.push(ptr::null_mut());
    let patterns: Option<Vec<CString>> =
        params.overrides.iter().map(|o| CString::new(o.pattern.as_str()).ok()).collect();
    let patterns = patterns.ok_or_else(|| Some("an override has a zero in it".to_owned()))?;
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
    raw.use_extra_bufts = params.repack;
    if !params.metadata.is_empty() {
        raw.kv_overrides = metadata.as_ptr();
    }
    raw.check_tensors = params.check_tensors;
    raw.progress_callback = Some(report::<P>);
    raw.progress_callback_user_data = ptr::from_mut(&mut progress).cast();
    // SAFETY: every list ends with a null pointer or an empty key and, with the names and the callback, lives until after the call;
    // llama.cpp keeps none of them except the split, which the caller keeps beside the model.
    let model = unsafe { sys::llama_model_load_from_file(path.as_ptr(), raw) };
    let lost = watch.lost().map(|endpoint| DecodeError::WorkerLost { endpoint }.to_string());
    let model = NonNull::new(model).ok_or_else(|| lost.clone())?;
    // SAFETY: see the assertion above; the crate is pinned to one version, and the model is owned by nobody else.
    let model = unsafe { std::mem::transmute::<NonNull<sys::llama_model>, LlamaModel>(model) };
    // A load goes on after a loss, but what it gives has no weights.
    if lost.is_some() { Err(lost) } else { Ok((model, split, watch)) }
}

/// llama.cpp reports progress to this.
unsafe extern "C" fn report<P: FnMut(f32) -> bool>(done: f32, progress: *mut c_void) -> bool {
    // SAFETY: the pointer is that of the closure `open` holds, which nobody else uses during the call.
    let progress = unsafe { &mut *progress.cast::<P>() };
    progress(done)
}

/// All tokens of all sequences, position by position.
fn rows(sequences: &[&[Token]]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (seq, tokens) in (0u32..).zip(sequences) {
        let placed = (0u32..).zip(tokens.iter());
        rows.extend(placed.map(|(pos, &token)| Row { seq: SeqId(seq), pos: Pos(pos), token, sample: true }));
    }
    rows.sort_by_key(|row| row.pos);
    rows
}
