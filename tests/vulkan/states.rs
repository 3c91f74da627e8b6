//! Saved states move between placements.

use ggrun::chat::{Message, Role};
use ggrun::model::{GpuLayers, LoadOptions};
use ggrun::session::ChatEvent;
use ggrun::state;

use super::Gpu;
use crate::run::{Bench, QUESTIONS, ask, bench_with, collect};

/// Answers two questions with one engine, and a third with another that resumes from its state.
fn moved(from: &Bench, to: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conversation.state");
    let mut conversation = ask(QUESTIONS[0].0);
    for next in [QUESTIONS[1].0, QUESTIONS[2].0] {
        let (reasoning, content, _) = collect(from.session.chat(conversation.clone()).unwrap());
        let mut answer = Message::new(Role::Assistant, content);
        answer.reasoning_content = Some(reasoning);
        conversation.messages.extend([answer, Message::new(Role::User, next)]);
    }
    let next = conversation.messages.pop().unwrap();
    let identity = from.model.identity().unwrap();
    state::write(&path, &identity, &from.session.save(&conversation).unwrap()).unwrap();
    conversation.messages.push(next);
    let expected = collect(from.session.chat(conversation.clone()).unwrap()).1;

    to.session.restore(state::read(&path, &to.model.identity().unwrap()).unwrap()).unwrap();
    let (_, content, end) = collect(to.session.chat(conversation).unwrap());
    assert_eq!(content, expected);
    let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
    let total = usage.total;
    assert!(total.reused_tokens * 2 > total.prompt_tokens, "{total:?}");
}

#[test]
fn a_state_moves_between_the_cpu_and_a_gpu() {
    let Some(gpu) = Gpu::find() else { return };
    let long =
        |options: LoadOptions| LoadOptions { context: ggrun::model::ContextSize::Tokens(512), ..options };
    let on_cpu = || bench_with(long(crate::layouts::on_cpu()));
    let on_gpu = |cpu_experts, kv_offload| {
        let gpu_layers = GpuLayers::All;
        bench_with(long(LoadOptions { gpu_layers, cpu_experts, kv_offload, ..gpu.options() }))
    };
    for (cpu_experts, kv_offload) in [(None, true), (Some(2), true), (None, false)] {
        moved(&on_cpu(), &on_gpu(cpu_experts, kv_offload));
        moved(&on_gpu(cpu_experts, kv_offload), &on_cpu());
    }
    moved(&on_gpu(None, true), &on_gpu(Some(u32::MAX), false));
}
