//! What files say, held against signatures.

use super::*;
use crate::model::Manifest;
use crate::model::description::Sentence;

fn spec(name: &str, data_type: DataType, dims: &[Dim]) -> TensorSpec {
    TensorSpec { name: name.into(), data_type, dims: dims.to_vec() }
}

fn classifier(inputs: Vec<TensorSpec>) -> Signature {
    let free = || Dim::Free(None);
    let label = spec("label", DataType::Int64, &[free()]);
    let scores = spec("probabilities", DataType::Fp32, &[free(), Dim::Fixed(2)]);
    Signature { inputs, optional: vec![], outputs: vec![label, scores] }
}

fn column(name: &str, kind: FeatureType) -> DescribedColumn {
    DescribedColumn { name: name.into(), kind: Some(kind) }
}

fn settled(columns: &[DescribedColumn], inputs: Vec<TensorSpec>) -> (Option<Vec<Feature>>, Vec<String>) {
    let mut described = Description { columns: columns.to_vec(), ..Description::default() };
    described.settle(&classifier(inputs)).unwrap();
    (described.manifest.features, described.notes)
}

#[test]
fn columns_name_the_features_of_a_matrix_in_their_order() {
    let columns = [column("b", FeatureType::Float64), column("a", FeatureType::Int64)];
    let matrix = spec("X", DataType::Fp32, &[Dim::Free(None), Dim::Fixed(2)]);
    let (features, _) = settled(&columns, vec![matrix.clone()]);
    let features: Vec<_> =
        features.unwrap().into_iter().map(|feature| (feature.name, feature.kind)).collect();
    let expected = [("b".to_owned(), Some(FeatureType::Float64)), ("a".to_owned(), Some(FeatureType::Int64))];
    assert_eq!(features, expected);
    for others in [&columns[..1], &[column("b", FeatureType::String), column("a", FeatureType::Int64)]] {
        let (features, notes) = settled(others, vec![matrix.clone()]);
        assert_eq!(features, None);
        assert!(notes[1].starts_with("ignored: the columns"), "{notes:?}");
    }
}

#[test]
fn columns_find_their_inputs_by_name() {
    let columns = [column("city", FeatureType::String), column("age", FeatureType::Float64)];
    let one = |name, data_type| spec(name, data_type, &[Dim::Free(None), Dim::Fixed(1)]);
    let inputs = vec![one("age", DataType::Int64), one("city", DataType::Bytes)];
    let (features, _) = settled(&columns, inputs.clone());
    let features: Vec<_> =
        features.unwrap().into_iter().map(|feature| (feature.name, feature.kind)).collect();
    assert_eq!(features, [("age".to_owned(), None), ("city".to_owned(), Some(FeatureType::String))]);
    assert_eq!(settled(&[column("town", FeatureType::String), columns[1].clone()], inputs).0, None);
}

#[test]
fn what_is_declared_must_be_what_the_graph_has() {
    let signature = classifier(vec![spec("X", DataType::Fp32, &[Dim::Free(None), Dim::Fixed(4)])]);
    let check = |name: &str, data_type, dims: &[i64], batch_is_left_out| {
        let declared = Declared { is_input: true, name: name.into(), data_type, dims: Some(dims.to_vec()) };
        declared.misfit(&signature, batch_is_left_out)
    };
    assert_eq!(check("X", Some(DataType::Fp32), &[4], true), None);
    assert_eq!(check("X", None, &[-1, 4], false), None);
    let told = |found: Option<String>| found.unwrap();
    assert!(told(check("x", None, &[4], true)).contains("the graph has only X"));
    assert!(told(check("X", Some(DataType::Fp64), &[4], true)).contains("declared FP64, the graph has FP32"));
    assert!(told(check("X", None, &[5], true)).contains("declared dims [5]"));
    assert!(told(check("X", None, &[4], false)).contains("the graph has [?,4]"));
}

#[test]
fn pooling_is_the_graphs_or_the_files_or_cannot_be_had() {
    let free = || Dim::Free(None);
    let tokens = spec("last_hidden_state", DataType::Fp32, &[free(), free(), Dim::Fixed(8)]);
    let pooled = spec("sentence_embedding", DataType::Fp32, &[free(), Dim::Fixed(8)]);
    let settle = |outputs: Vec<TensorSpec>, sentence: Sentence, manifest: &str| {
        let signature = Signature { inputs: vec![], optional: vec![], outputs };
        let manifest = Manifest::parse(manifest, "m").unwrap();
        let mut described = Description { sentence: Some(sentence), manifest, ..Description::default() };
        described.settle(&signature).map(|()| (described.manifest.pooling, described.manifest.normalize))
    };
    let files = |pooling, layers: &[&str]| Sentence {
        pooling,
        normalize: true,
        layers: layers.iter().map(|layer| (*layer).to_owned()).collect(),
    };
    let cls = || files(Some(Pooling::Cls), &[]);
    assert_eq!(settle(vec![tokens.clone()], cls(), ""), Ok((Some(Pooling::Cls), Some(true))));
    let own = "pooling = \"max\"\nnormalize = false";
    assert_eq!(settle(vec![tokens.clone()], cls(), own), Ok((Some(Pooling::Max), Some(false))));
    let dense = || files(Some(Pooling::Cls), &["Dense"]);
    assert_eq!(settle(vec![tokens.clone(), pooled], dense(), ""), Ok((Some(Pooling::None), Some(true))));
    assert!(settle(vec![tokens.clone()], dense(), "").unwrap_err()[0].contains("Dense follows the encoder"));
    assert!(settle(vec![tokens], files(None, &[]), "").unwrap_err()[0].contains("several pooling modes"));
}
