//! Placement of models that are larger than memory.

use std::time::Duration;

use super::*;
use crate::llama::DeviceSpeed;

/// A machine whose llama.cpp can read experts from disk.
fn streaming(ram: u64, gpus: &[u64]) -> Machine {
    Machine { can_stream: true, ..machine(ram, gpus) }
}

#[test]
fn experts_are_read_from_disk_only_where_nothing_else_fits() {
    let (header, hparams) = wide(48);
    let placed = |machine: &Machine, options: &LoadOptions| place(&header, &hparams, machine, options);
    let options = tokens(4096);
    for (ram, gpus) in [(64, &[][..]), (45, &[]), (32, &[24 * GIB])] {
        let with = placed(&streaming(ram * GIB, gpus), &options).unwrap();
        let without = placed(&machine(ram * GIB, gpus), &options).unwrap();
        assert_eq!((with.load, &with.stream), (without.load, &None), "{ram} GiB");
        assert_eq!((with.batch, with.ubatch), (512, 512));
    }
    assert!(placed(&machine(32 * GIB, &[]), &options).is_err());
    let found = placed(&streaming(32 * GIB, &[]), &options).unwrap();
    let stream = found.stream.unwrap();
    assert_eq!((found.load, found.repack), (LoadMode::Stream, false));
    let line = &found.bill.lines[0];
    assert_eq!((stream.experts, line.mapped), (line.experts, line.experts));
    assert_eq!(stream.per_token, line.experts / 512 * 10);
    // What is not experts, and the experts that stay, fit.
    assert_eq!(line.sum() - line.mapped + stream.room, line.budget);
    assert!((0.5..0.8).contains(&stream.hit_rate()), "{}", stream.hit_rate());
    assert!(found.reason.contains("experts read from disk as they are chosen"), "{}", found.reason);
    assert!(found.command(&options).contains(" -lm mmap -nr"), "{}", found.command(&options));
    // A choice of the user is not replaced by it, and dense weights must fit.
    for refused in [
        LoadOptions { load: Some(LoadMode::Read), ..options.clone() },
        LoadOptions { repack: Some(true), ..options.clone() },
        LoadOptions { cpu_memory: Some(2 * GIB), ..options.clone() },
    ] {
        assert!(placed(&streaming(32 * GIB, &[]), &refused).is_err(), "{refused:?}");
    }
    let asked = LoadOptions { load: Some(LoadMode::Stream), ..options };
    let all = placed(&streaming(64 * GIB, &[]), &asked).unwrap().stream.unwrap();
    assert_eq!((all.room, all.hit_rate().to_bits()), (all.experts, 1.0f64.to_bits()));
}

#[test]
fn steps_are_larger_where_experts_come_from_disk_unless_they_are_set() {
    let (header, hparams) = wide(48);
    let steps = |options: &LoadOptions| {
        let found = place(&header, &hparams, &streaming(32 * GIB, &[]), options).unwrap();
        assert_eq!(found.load, LoadMode::Stream);
        assert_eq!(found.stream.unwrap().ubatch, found.ubatch.min(found.batch).min(found.context));
        (found.batch, found.ubatch)
    };
    let options = tokens(8192);
    assert_eq!(steps(&options), (4096, 4096));
    assert_eq!(steps(&tokens(2048)), (2048, 2048), "no more than the context");
    assert_eq!(steps(&tokens(600)), (512, 512));
    assert_eq!(steps(&LoadOptions { batch: Some(512), ..options.clone() }), (512, 512));
    assert_eq!(steps(&LoadOptions { batch: Some(2048), ..options.clone() }), (2048, 2048));
    assert_eq!(steps(&LoadOptions { ubatch: Some(256), ..options.clone() }), (4096, 256));
    assert_eq!(steps(&LoadOptions { batch: Some(64), ubatch: Some(32), ..options.clone() }), (64, 32));
    // Little memory is left for experts: they need it more.
    let tight = LoadOptions { cpu_memory: Some(7 * GIB), ..options };
    let (batch, ubatch) = steps(&tight);
    assert!(batch < 4096 && ubatch == batch, "{batch}");
}

#[test]
fn experts_that_are_read_from_disk_leave_the_context_as_it_is() {
    let (header, hparams) = wide(48);
    let options = LoadOptions { threads: 8, ..LoadOptions::new("model.gguf") };
    let found = place(&header, &hparams, &streaming(32 * GIB, &[]), &options).unwrap();
    assert_eq!((found.load, found.context), (LoadMode::Stream, ContextSize::USUAL));
}

#[test]
fn the_disk_slows_a_model_by_the_experts_that_are_not_in_memory() {
    let (header, hparams) = wide(48);
    let found = place(&header, &hparams, &streaming(32 * GIB, &[]), &tokens(4096)).unwrap();
    let device = DeviceSpeed { bytes_per_second: 20e9, node: Duration::ZERO, start: Duration::ZERO };
    let speed = |disk| found.speed(&[Some(device)], disk).map(|speed| speed.most);
    let (fast, slow) = (speed(Some(1e15)).unwrap(), speed(Some(1e9)).unwrap());
    let expected = found.stream.unwrap().seconds_per_token(1e9);
    assert!((1.1 / slow - 1.1 / fast - expected).abs() < 1e-6, "{slow} {fast} {expected}");
    assert_eq!(speed(None), None, "an unknown disk");
}

#[test]
fn experts_that_cannot_be_read_from_disk_are_refused_by_the_reason() {
    let (header, hparams) = wide(48);
    let asked = LoadOptions { load: Some(LoadMode::Stream), ..tokens(4096) };
    let repacked = LoadOptions { repack: Some(true), ..asked.clone() };
    let (_, hparams_without) = wide(48);
    let dense = HParams { experts: 0, experts_used: 0, ..hparams_without };
    let (can, cannot) = (streaming(64 * GIB, &[]), machine(64 * GIB, &[]));
    for (hparams, machine, options, words) in [
        (&hparams, &cannot, &asked, "this build or this system"),
        (&dense, &can, &asked, "the model has none"),
        (&hparams, &can, &repacked, "not repacked"),
    ] {
        let error = place(&header, hparams, machine, options).unwrap_err();
        assert!(matches!(error, PlaceError::Stream { reason } if reason.contains(words)), "{error}");
    }
    assert!(place(&header, &hparams, &can, &asked).is_ok());
}

#[test]
fn a_micro_batch_is_within_its_batch() {
    let (header, hparams) = wide(8);
    for (batch, ubatch, expected) in [
        (None, None, (512, 512)),
        (Some(2048), None, (2048, 512)),
        (Some(64), None, (64, 64)),
        (None, Some(1024), (1024, 1024)),
        (Some(256), Some(1024), (256, 256)),
    ] {
        let options = LoadOptions { batch, ubatch, ..tokens(4096) };
        let placed = place(&header, &hparams, &machine(64 * GIB, &[]), &options).unwrap();
        assert_eq!((placed.batch, placed.ubatch), expected);
    }
}
