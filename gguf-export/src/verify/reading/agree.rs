//! Compares the encodings of a plan with what the verification reads in the configuration.

use super::read::Reading;
use crate::checkpoint::Checkpoint;
use crate::plan::Plan;
use crate::quant::{Coding, Declared, Element, Int, MicroScale, Packing, Weight, Zero, ZeroRule};
use crate::{Error, Result};

/// Checks that every weight of a plan is read as its configuration declares it.
///
/// # Errors
/// [`Error::Readings`] names the first field that the plan reads otherwise. Errors of [`Reading::of`].
pub(in super::super) fn check(checkpoint: &Checkpoint, plan: &Plan) -> Result<()> {
    let reading = Reading::of(checkpoint, &plan.options.config)?;
    for weight in &plan.weights {
        let name = checkpoint.info(weight.main()).name.as_str();
        let suffixes = [".qweight", ".weight_packed", ".weight"];
        let module = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        if let Some(Difference { field, planned, read }) = difference(weight, &reading.declared(module)) {
            let (path, module) = (reading.path.clone(), module.to_owned());
            return Err(Error::Readings { path, field, module, planned, read });
        }
    }
    Ok(())
}

/// A field that is read in two ways.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    field: &'static str,
    planned: String,
    read: String,
}

fn differ<T: PartialEq>(
    field: &'static str,
    planned: T,
    read: T,
    show: impl Fn(T) -> String,
) -> Option<Difference> {
    (planned != read).then(|| Difference { field, planned: show(planned), read: show(read) })
}

fn difference(weight: &Weight, declared: &Declared) -> Option<Difference> {
    match &weight.coding {
        Coding::Plain { .. } => None,
        Coding::Int(int) => integers(weight, int, declared),
        Coding::Affine(affine) => {
            width(affine.bits, declared).or_else(|| group(weight, affine.group, declared))
        }
        Coding::Fp8(fp8) => {
            let (rows, columns) = fp8.block;
            if rows > 1 && columns < weight.columns {
                return differ("block size", Some(fp8.block), declared.block, |block| format!("{block:?}"));
            }
            let grouped =
                rows == 1 && columns < weight.columns && declared.group.is_some_and(|size| size > 0);
            if grouped { group(weight, columns, declared) } else { None }
        }
        Coding::Micro(micro) => {
            let four_bits = micro.scale == MicroScale::E8M0 && micro.element != Element::Fp8;
            let integers = micro.element == Element::Int4;
            let show = |integers| if integers { "integers" } else { "floats" }.to_owned();
            if four_bits { differ("data_type", integers, declared.mx_int, show) } else { None }
        }
    }
}

fn integers(weight: &Weight, int: &Int, declared: &Declared) -> Option<Difference> {
    let words = matches!(int.packing, Packing::Gptq | Packing::Awq);
    let sym = matches!(int.zero, Zero::Middle { .. });
    let symmetry = words.then(|| differ("sym", sym, declared.sym.unwrap_or(true), |sym| sym.to_string()));
    let zeros = match int.zero {
        Zero::Stored { rule, .. } if int.packing == Packing::Gptq => {
            differ("zero points", Some(rule), declared.zeros, stored)
        }
        Zero::Stored { rule, .. } if int.packing == Packing::Awq => {
            differ("zero points", Some(rule), Some(ZeroRule::Awq), stored)
        }
        _ => None,
    };
    // Each code takes a byte, whatever its width.
    let is_wider = int.packing == Packing::Bytes && declared.bits.is_some_and(|bits| bits <= 8);
    symmetry
        .flatten()
        .or(zeros)
        .or_else(|| if is_wider { None } else { width(int.bits, declared) })
        .or_else(|| group(weight, int.group, declared))
}

fn stored(rule: Option<ZeroRule>) -> String {
    match rule {
        Some(ZeroRule::Direct) => "stored as they are (v2)",
        Some(ZeroRule::MinusOne) => "stored less one (v1)",
        Some(_) => "stored in another layout",
        None => "stored in a way that it does not state",
    }
    .to_owned()
}

/// Compares the bits of a module to which the declarations clearly apply.
fn width(bits: u32, declared: &Declared) -> Option<Difference> {
    let stated = declared.bits.filter(|bits| declared.binding && *bits < 16)?;
    differ("bits", u64::from(bits), stated, |bits| bits.to_string())
}

fn group(weight: &Weight, planned: u64, declared: &Declared) -> Option<Difference> {
    let applies = declared.binding && declared.bits.is_none_or(|bits| bits < 16);
    let stated = declared.group.filter(|_| applies)?;
    let read = u64::try_from(stated).ok().filter(|size| *size > 0).unwrap_or(weight.columns);
    differ("group size", planned, read, |size| size.to_string())
}

#[cfg(test)]
mod tests {
    use testkit::{Awq, CtPacked, Encoding, Fp8, Fp8Scale, Gptq, Method, Mlx, Model, StoredZero};

    use super::*;
    use crate::PlanOptions;
    use crate::quant::Micro;

    /// Checks the plan of a checkpoint, and the same plan with every weight changed as by a wrong reading.
    fn found(model: &Model, wrong: impl Fn(&mut Coding)) -> String {
        let dir = tempfile::tempdir().unwrap();
        model.write(dir.path());
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let options = PlanOptions { allow_rounding: true, ..PlanOptions::default() };
        let mut plan = Plan::draft(&checkpoint, &options).unwrap();
        check(&checkpoint, &plan).unwrap_or_else(|error| panic!("{model:?}: {error}"));
        plan.weights.iter_mut().for_each(|weight| wrong(&mut weight.coding));
        match check(&checkpoint, &plan) {
            Err(Error::Readings { field, .. }) => field.to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn int(change: impl Fn(&mut Int)) -> impl Fn(&mut Coding) {
        move |coding| {
            if let Coding::Int(int) = coding {
                change(int);
            }
        }
    }

    fn swap(int: &mut Int) {
        if let Zero::Stored { rule, .. } = &mut int.zero {
            *rule = if *rule == ZeroRule::Direct { ZeroRule::MinusOne } else { ZeroRule::Direct };
        }
    }

    #[test]
    fn a_wrong_reading_of_zero_points_is_found_in_every_tool() {
        for zero in [StoredZero::Direct, StoredZero::MinusOne] {
            let gptq = Encoding::Gptq(Gptq { zero, ..Gptq::asym(4, 64) });
            for method in [Method::AutoRound, Method::Gptq, Method::GptqModel] {
                let model = Model { method: Some(method), ..Model::uniform(gptq) };
                assert_eq!(found(&model, int(swap)), "zero points", "{method:?} {zero:?}");
            }
        }
        let borrow = Gptq { zero: StoredZero::MinusOneBorrow, ..Gptq::asym(4, 64) };
        let mislabelled = Model { model_free: true, ..Model::uniform(Encoding::Gptq(borrow)) };
        assert_eq!(found(&mislabelled, int(swap)), "zero points");
        let awq = Model::uniform(Encoding::Awq(Awq::asym(4, 64)));
        assert_eq!(found(&awq, int(swap)), "zero points");
    }

    #[test]
    fn every_other_field_that_values_depend_on_is_compared() {
        let asym = Model::uniform(Encoding::Gptq(Gptq::asym(4, 64)));
        assert_eq!(found(&asym, int(|int| int.zero = Zero::Middle { stored: None })), "sym");
        assert_eq!(found(&asym, int(|int| int.bits = 5)), "bits");
        assert_eq!(found(&asym, int(|int| int.group = 32)), "group size");
        let packed = Model::uniform(Encoding::CtPacked(CtPacked::sym(4, 64)));
        assert_eq!(found(&packed, int(|int| int.bits = 3)), "bits");
        assert_eq!(found(&packed, int(|int| int.group = 128)), "group size");
        let affine = |coding: &mut Coding| {
            if let Coding::Affine(affine) = coding {
                affine.bits = 2;
            }
        };
        let mlx = Mlx { bits: 4, group: testkit::Group::Size(64) };
        assert_eq!(found(&Model::uniform(Encoding::Mlx(mlx)), affine), "bits");
        let block = |coding: &mut Coding| {
            if let Coding::Fp8(fp8) = coding {
                fp8.block = (96, 48);
            }
        };
        for method in [Method::Fp8, Method::Fp8AutoRound, Method::AutoRound, Method::CompressedTensors] {
            let fp8 = Encoding::Fp8(Fp8::scaled(Fp8Scale::Block(48, 96)));
            let model = Model { method: Some(method), ..Model::uniform(fp8) };
            assert_eq!(found(&model, block), "block size", "{method:?}");
        }
        let element = |coding: &mut Coding| {
            if let Coding::Micro(Micro { element, .. }) = coding {
                *element = if *element == Element::Int4 { Element::Fp4 } else { Element::Int4 };
            }
        };
        for encoding in [Encoding::MxFp4, Encoding::MxInt4] {
            assert_eq!(found(&Model::uniform(encoding), element), "data_type", "{encoding:?}");
        }
    }
}
