//! Matrix products of every type of weights, in every version, and for any number of threads.

use gguf_export::ggml::GgmlType;
use half::f16;

use super::products::{
    Definition, Exact, MIDDLE, MUL_MAT, Rounding, Weights, is_ours, mul_mat, mul_mat_id, without_ties,
};
use super::random::Random;
use super::run::{Input, Op, run};
use super::version::{computes, each_version, is_patched};

/// The types of weights, and how activations are rounded for them.
const TYPES: [(GgmlType, Rounding); 9] = [
    (GgmlType::Q4_0, Rounding::Q8_0),
    (GgmlType::Q8_0, Rounding::Q8_0),
    (GgmlType::Q5_0, Rounding::Q8_0),
    (GgmlType::MXFP4, Rounding::Q8_0),
    (GgmlType::Q4_1, Rounding::Other),
    (GgmlType::Q6_K, Rounding::Other),
    (GgmlType::BF16, Rounding::Bf16),
    (GgmlType::F16, Rounding::F16),
    (GgmlType::F32, Rounding::None),
];

/// Numbers of columns: one case for each path of a kernel and each remainder of its groups.
const COUNTS: std::ops::RangeInclusive<usize> = 1..=40;

/// Numbers of columns around the largest that are computed at once.
const MANY: [usize; 3] = [504, 505, 513];

const THREADS: [usize; 4] = [1, 2, 3, 8];

#[test]
fn every_matrix_product_equals_the_portable_one() {
    for (ty, rounding) in TYPES {
        let few: Vec<usize> = if is_ours(ty) { COUNTS.collect() } else { vec![1, 2, 5, 40] };
        let shapes: [(usize, usize, &[usize]); 14] = [
            (256, 64, &few),
            (256, 80, &[1, 5, 12, 13, 25]),
            (256, 16, if is_ours(ty) { &MANY } else { &MANY[..1] }),
            (512, 512, &[1, 2, 4]),
            (1024, 16, &[1, 2, 7, 24]),
            (2048, 64, &[1, 4, 7]),
            (4096, 32, &[1, 3, 6, 7]),
            // None of these is a whole number of panels.
            (256, 1, &[1, 9]),
            (256, 15, &[1, 9]),
            (256, 17, &[1, 2, 3, 9, 14]),
            (512, 33, &[1, 6, 30]),
            (32, 16, &[1, 9]),
            (288, 48, &[1, 2, 9, 20]),
            (4064, 16, &[1, 9]),
        ];
        for (columns, rows, counts) in shapes {
            if (columns as u64).is_multiple_of(ty.block_len()) {
                a_product_is_exact(ty, rounding, (columns, rows), counts);
            }
        }
    }
}

/// Compares products of one matrix with rising numbers of columns.
fn a_product_is_exact(ty: GgmlType, rounding: Rounding, (columns, rows): (usize, usize), counts: &[usize]) {
    let mut random = Random((columns * 1000 + rows) as u64);
    let weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows) };
    let most = counts.iter().copied().max().unwrap();
    let activations = without_ties(random.values(columns * most));
    let exact = Definition::new(&weights, rounding).products(&activations);
    each_version(|version| {
        for &count in counts {
            let values = run(&mul_mat(&weights, &activations[..columns * count]), 2);
            let name = format!("{version} {ty} {columns} x {rows}, {count} columns");
            assert_exact(&values, &exact[..rows * count], &weights, rounding, &name);
        }
    });
}

/// Products differ from the exact sum only by the rounding of their F32 additions, or by that of the activations. Those
/// that the version in use of our patch computes have its bits.
fn assert_exact(values: &[f32], exact: &[Exact], weights: &Weights, rounding: Rounding, name: &str) {
    assert_eq!(values.len(), exact.len(), "{name}");
    // Unquantized types add each product in F32, the others one term for each block.
    let additions = if rounding == Rounding::Q8_0 { weights.columns / 32 } else { weights.columns };
    let relative = f64::from(u32::try_from(additions + 4).expect("a small number")) * f64::from(f32::EPSILON);
    let has_bits = computes(weights.ty);
    for (place, (&value, exact)) in values.iter().zip(exact).enumerate() {
        if let Some(patched) = exact.patched.filter(|_| has_bits) {
            assert_same(&[value], &[patched], &format!("{name}, value {place}"));
        }
        if exact.sum.is_nan() {
            assert!(!value.is_finite(), "{name}, value {place}: {value} instead of NaN or infinity");
            continue;
        }
        let mut error = (f64::from(value) - exact.sum).abs();
        if matches!(rounding, Rounding::Bf16 | Rounding::F16) {
            // Upstream and AVX512-BF16 round activations, the other versions do not.
            error = error.min((f64::from(value) - exact.unrounded).abs());
        }
        assert!(
            error <= relative * exact.terms + 8.0 * exact.noise + f64::from(f32::MIN_POSITIVE),
            "{name}, value {place}: {value} instead of {exact:?}",
        );
    }
}

#[test]
fn every_product_by_experts_equals_the_portable_one() {
    for (ty, rounding) in TYPES {
        let counts: Vec<usize> = if is_ours(ty) { COUNTS.collect() } else { vec![1, 2, 14, 33] };
        for tokens in counts {
            // More columns than one, two and four panels take, at every third count.
            let rows = [16, 48, 64][tokens % 3];
            experts_are_exact(ty, rounding, (256, rows), tokens);
        }
        experts_are_exact(ty, rounding, (512, 256), 3);
        if is_ours(ty) {
            experts_are_exact(ty, rounding, (256, 16), 505);
        }
        if ty.block_len() < 256 {
            experts_are_exact(ty, rounding, (288, 17), 7);
        }
    }
}

/// The experts of tokens: at random, one that all tokens choose beside others, or only one. The last is never chosen.
fn routes(random: &mut Random, experts: usize, tokens: usize) -> [(&'static str, Vec<Vec<usize>>); 3] {
    let used = 2 + tokens % 2;
    let mut crowded = Vec::new();
    let mut free = Vec::new();
    for token in 0..tokens {
        let first = random.below(experts - 1);
        free.push((0..used).map(|place| (first + 2 * place) % (experts - 1)).collect());
        crowded.push(
            (0..used).map(|place| if place == 0 { 0 } else { 1 + (token + place) % (experts - 2) }).collect(),
        );
    }
    [("random", free), ("crowded", crowded), ("one", vec![vec![3; used]; tokens])]
}

/// Compares products by experts, of one row of activations for each token, or one for each expert of each token.
fn experts_are_exact(ty: GgmlType, rounding: Rounding, (columns, rows): (usize, usize), tokens: usize) {
    const EXPERTS: usize = 8;
    let mut random = Random((columns + rows * 7 + tokens) as u64);
    let weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows * EXPERTS) };
    let definition = Definition::new(&weights, rounding);
    let routes = routes(&mut random, EXPERTS, tokens);
    // All six combinations for small numbers, then two for each number.
    let chosen = |kind: usize, own: bool| tokens < 4 || (tokens + kind + usize::from(own)).is_multiple_of(3);
    for (kind, (name, routes)) in routes.iter().enumerate() {
        for own in [false, true].into_iter().filter(|&own| chosen(kind, own)) {
            let per_token = if own { routes[0].len() } else { 1 };
            let activations = without_ties(random.values(columns * per_token * tokens));
            let mut exact = Vec::new();
            for (token, experts) in routes.iter().enumerate() {
                for (place, &expert) in experts.iter().enumerate() {
                    let row = token * per_token + if own { place } else { 0 };
                    let matrix = expert * rows..(expert + 1) * rows;
                    exact.extend(definition.product(matrix, &activations[row * columns..][..columns]));
                }
            }
            each_version(|version| {
                let values = run(&mul_mat_id(&weights, &activations, routes), 2);
                let name =
                    format!("{version} {ty} {columns} x {rows}, {tokens} tokens, {name}, own rows: {own}");
                assert_exact(&values, &exact, &weights, rounding, &name);
            });
        }
    }
}

#[test]
fn matrix_products_do_not_depend_on_threads_or_columns() {
    each_version(|version| {
        for (ty, _) in TYPES {
            let (columns, rows) = (512, 80);
            let mut random = Random(7);
            let weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows) };
            let activations = random.values(columns * 64);
            let all = run(&mul_mat(&weights, &activations), 1);
            for count in [1, 2, 3, 5, 7, 12, 13, 40, 64] {
                let op = mul_mat(&weights, &activations[..columns * count]);
                let one = run(&op, 1);
                for threads in THREADS {
                    let name = format!("{version} {ty}, {count} columns, {threads} threads");
                    assert_same(&run(&op, threads), &one, &name);
                }
                if is_ours(ty) && computes(ty) {
                    assert_same(
                        &one,
                        &all[..rows * count],
                        &format!("{version} {ty}, {count} of 64 columns"),
                    );
                }
            }
        }
    });
}

#[test]
fn products_with_float_weights_do_not_depend_on_threads_or_columns() {
    each_version(|version| {
        for ty in [GgmlType::BF16, GgmlType::F16, GgmlType::F32] {
            for (columns, rows) in [(1, 1), (31, 7), (32, 64), (100, 43), (2048, 21), (256, 1000)] {
                let mut random = Random((columns + rows) as u64);
                let weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows) };
                let mut activations = random.values(columns * 65);
                activations[0] = f32::NAN;
                activations[columns] = f32::INFINITY;
                activations[columns * 2] = 1e-40;
                let all = run(&mul_mat(&weights, &activations), 1);
                assert!(all[..rows].iter().all(|value| value.is_nan()), "{version} {ty}");
                assert!(all[rows..2 * rows].iter().all(|value| !value.is_finite()), "{version} {ty}");
                for count in [1, 2, 3, 4, 5, 6, 7, 11, 40, 65] {
                    let op = mul_mat(&weights, &activations[..columns * count]);
                    for threads in THREADS {
                        let name =
                            format!("{version} {ty}, {columns} x {rows}, {count} columns, {threads} threads");
                        assert_same(&run(&op, threads), &all[..rows * count], &name);
                    }
                }
            }
        }
    });
}

#[test]
fn products_by_experts_do_not_depend_on_threads_or_tokens() {
    each_version(|version| {
        for (ty, _) in TYPES {
            let (columns, rows, experts, used) = (256, 48, 40, 4);
            let mut random = Random(8);
            let weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows * experts) };
            let routes: Vec<Vec<usize>> = (0..64)
                .map(|_| random.below(experts))
                .map(|e| (0..used).map(|u| (e + 11 * u) % experts).collect())
                .collect();
            let activations = random.values(columns * routes.len());
            let all = run(&mul_mat_id(&weights, &activations, &routes), 1);
            for count in [1, 2, 3, 9, 64] {
                let op = mul_mat_id(&weights, &activations[..columns * count], &routes[..count]);
                let one = run(&op, 1);
                for threads in THREADS {
                    let name = format!("{version} {ty}, {count} tokens, {threads} threads");
                    assert_same(&run(&op, threads), &one, &name);
                }
                if is_ours(ty) && computes(ty) {
                    let some = &all[..rows * used * count];
                    assert_same(&one, some, &format!("{version} {ty}, {count} of 64 tokens"));
                }
            }
        }
    });
}

/// Compares bits; any NaN is the same as another.
fn assert_same(values: &[f32], expected: &[f32], name: &str) {
    let bits = |x: f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
    let different = values.iter().zip(expected).position(|(&a, &b)| bits(a) != bits(b));
    assert_eq!(values.len(), expected.len(), "{name}");
    assert_eq!(different, None, "{name}: {:?}", different.map(|place| (values[place], expected[place])));
}

#[test]
fn batches_and_rows_that_lie_apart_are_multiplied() {
    each_version(|version| {
        for (ty, rounding) in TYPES {
            let (columns, rows, count) = (256, 32, 7);
            let mut random = Random(9);
            let weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows * 2) };
            let (mut definition, mut one) = (Definition::new(&weights, rounding), weights.input());
            // Upstream may compute these.
            definition.blocks = None;
            let expected = |activations: &[f32], batch_of: &dyn Fn(usize) -> usize| -> Vec<Exact> {
                let batches = activations.chunks_exact(columns * count).enumerate();
                let product_of = |(batch, activations): (usize, &[f32])| {
                    let first = batch_of(batch) * rows;
                    let columns = activations.chunks_exact(columns);
                    columns.flat_map(|row| definition.product(first..first + rows, row)).collect::<Vec<_>>()
                };
                batches.flat_map(product_of).collect()
            };
            let activations = without_ties(random.values(columns * count * 12));
            let name = |what| format!("{version} {ty}, {what}");

            // Each of two matrices is multiplied by two batches, three times.
            let inputs = vec![one.clone(), Input::f32([columns, count, 4, 3], &activations)];
            let values = run(&Op { inputs, build: MUL_MAT }, 2);
            let exact = expected(&activations, &|batch| batch % 4 / 2);
            assert_exact(&values, &exact, &weights, rounding, &name("two matrices"));

            one.shape[2] = 1;
            one.bytes.truncate(one.bytes.len() / 2);
            let inputs = vec![one.clone(), Input::f32([columns, count, 4, 3], &activations)];
            let values = run(&Op { inputs, build: MUL_MAT }, 2);
            assert_exact(&values, &expected(&activations, &|_| 0), &weights, rounding, &name("one matrix"));

            // Of rows that are three times as long, the middle.
            let inputs = vec![one, Input::f32([columns * 3, count * 4, 1, 1], &activations)];
            let values = run(&Op { inputs, build: MIDDLE }, 2);
            let middle = |row: &[f32]| row[columns..2 * columns].to_vec();
            let activations: Vec<f32> = activations.chunks_exact(columns * 3).flat_map(middle).collect();
            assert_exact(
                &values,
                &expected(&activations, &|_| 0),
                &weights,
                rounding,
                &name("rows that lie apart"),
            );
        }
    });
}

#[test]
fn extreme_weights_and_activations_are_multiplied_exactly() {
    each_version(|version| {
        for ty in [GgmlType::Q4_0, GgmlType::Q8_0] {
            let (columns, rows) = (512, 16);
            let mut random = Random(10);
            let mut weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows) };
            let bytes = usize::try_from(ty.block_bytes()).unwrap();
            for (row, weights) in weights.bytes.chunks_exact_mut(bytes * columns / 32).enumerate() {
                for block in weights.chunks_exact_mut(bytes) {
                    // The lowest and the highest code, in whole rows and side by side.
                    let (low, high) = if ty == GgmlType::Q4_0 { (0x00, 0xff) } else { (0x80, 0x7f) };
                    match row % 4 {
                        0 => block[2..].fill(low),
                        1 => block[2..].fill(high),
                        2 => block[2..]
                            .iter_mut()
                            .enumerate()
                            .for_each(|(i, code)| *code = if i % 2 == 0 { low } else { high }),
                        _ => {}
                    }
                    // A subnormal scale, the largest one, and one of zero.
                    match row / 4 {
                        1 => {
                            let bits = 0x8001 + u16::try_from(row).expect("a small number");
                            block[..2].copy_from_slice(&f16::from_bits(bits).to_le_bytes());
                        }
                        2 => block[..2].copy_from_slice(&f16::MAX.to_le_bytes()),
                        3 => block[..2].copy_from_slice(&(-f16::ZERO).to_le_bytes()),
                        _ => {}
                    }
                }
            }
            let alternating =
                |a: f32, b: f32| (0..columns).map(|i| if i % 2 == 0 { a } else { b }).collect::<Vec<_>>();
            let scaled = |random: &mut Random, by: f32| {
                without_ties(random.values(columns)).iter().map(|x| x * by).collect::<Vec<_>>()
            };
            let activations = [
                alternating(3.0, 3.0),
                alternating(-3.0, -3.0),
                alternating(3.0, -3.0),
                // Their scale is subnormal in F16, zero, or subnormal in F32 already.
                alternating(1e-4, -1e-4),
                scaled(&mut random, 1e-5),
                alternating(1e-6, 1e-7),
                alternating(1e-40, -3e-42),
                alternating(0.0, -0.0),
                // The largest scale of F16, and one beyond.
                alternating(8e6, -8e6),
                alternating(9e6, 1.0),
                alternating(f32::MAX, 1.0),
            ];
            let exact = Definition::new(&weights, Rounding::Q8_0).products(&activations.concat());
            for threads in THREADS {
                let values = run(&mul_mat(&weights, &activations.concat()), threads);
                assert_exact(&values, &exact, &weights, Rounding::Q8_0, &format!("{version} {ty}"));
            }
            for (activations, exact) in activations.iter().zip(exact.chunks_exact(rows)) {
                let values = run(&mul_mat(&weights, activations), 2);
                assert_exact(
                    &values,
                    exact,
                    &weights,
                    Rounding::Q8_0,
                    &format!("{version} {ty}, {}", activations[0]),
                );
            }
        }
    });
}

#[test]
fn values_that_are_not_finite_stay_in_their_row_and_column() {
    each_version(|version| {
        for ty in [GgmlType::Q4_0, GgmlType::Q8_0] {
            for count in [1, 2, 9, 30] {
                let (columns, rows) = (512, 32);
                let mut random = Random(11);
                let mut weights = Weights { ty, columns, rows, bytes: random.weights(ty, columns, rows) };
                let mut activations = random.values(columns * count);
                let before = run(&mul_mat(&weights, &activations), 2);
                let block = usize::try_from(ty.block_bytes()).unwrap();
                for (row, value) in [(3, f16::NAN), (17, f16::INFINITY), (31, f16::NEG_INFINITY)] {
                    let place = (row * columns / 32 + row % 16) * block;
                    weights.bytes[place..place + 2].copy_from_slice(&value.to_le_bytes());
                }
                let bad = [(0, f32::INFINITY), (4, f32::NEG_INFINITY), (8, f32::NAN), (29, f32::NAN)];
                let upstream_loses = |value: f32| value.is_nan() && !is_patched();
                let bad = bad.into_iter().filter(|&(column, value)| column < count && !upstream_loses(value));
                let bad: Vec<(usize, f32)> = bad.collect();
                for &(column, value) in &bad {
                    activations[column * columns + 31 * column % columns] = value;
                }
                for threads in [1, 3] {
                    let values = run(&mul_mat(&weights, &activations), threads);
                    for (place, (&value, &before)) in values.iter().zip(&before).enumerate() {
                        let (column, row) = (place / rows, place % rows);
                        let name =
                            format!("{version} {ty}, {count} columns, row {row}, column {column}: {value}");
                        if [3, 17, 31].contains(&row) || bad.iter().any(|&(bad, _)| bad == column) {
                            assert!(!value.is_finite(), "{name}");
                        } else {
                            assert_eq!(value.to_bits(), before.to_bits(), "{name}");
                        }
                    }
                }
            }
        }
    });
}
