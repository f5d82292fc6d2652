//! Answers that write their values otherwise: what is only shown decides nothing, and numbers are the same numbers.

use cortecs_resources::CortecsInstance;
use cortecs_simulator::{Notation, Rewrite};
use serde_json::{Value, json};

use crate::harness::{Bed, MODEL, Read, running, stopped};

fn rewrites(names: &[&str], to: &Notation) -> Vec<Rewrite> {
    let rewrite = |name: &&str| Rewrite {
        name: (*name).to_owned(),
        from: None,
        to: to.clone(),
    };
    names.iter().map(rewrite).collect()
}

#[tokio::test]
async fn stops_and_deletions_are_believed_however_progress_and_times_are_written() {
    const SHOWN: [&str; 6] = [
        "current_step",
        "num_steps",
        "description",
        "started_at",
        "base_url",
        "init_progress",
    ];
    let bed = Bed::new("notations").await;
    let _operator = bed.operator();
    for (n, to) in [
        Notation::Fraction,
        Notation::Text,
        Notation::Value(json!("5/5")),
        Notation::Value(json!([5])),
        Notation::Value(json!({"step": 5})),
        Notation::Value(Value::Null),
    ]
    .iter()
    .enumerate()
    {
        let (stops, goes) = (format!("stops-{n}"), format!("goes-{n}"));
        bed.run(&stops, json!({"modelId": MODEL})).await;
        bed.run(&goes, json!({"modelId": MODEL})).await;
        let same = matches!(to, Notation::Fraction | Notation::Text);
        let names = if same { &SHOWN[..2] } else { &SHOWN[..] };
        bed.api.rewrite(rewrites(names, to));
        bed.change(&stops, json!({"state": "Stopped"})).await;
        bed.wait(&stops, "stopped", stopped).await;
        bed.delete(&goes).await;
        bed.wait_gone(&goes).await;
        if same {
            bed.run(&format!("starts-{n}"), json!({"modelId": MODEL}))
                .await;
        }
        bed.api.rewrite([]);
    }
    let failed = |r: &std::sync::Arc<CortecsInstance>| r.reason("Ready") == "RetryingAfterError";
    assert!(!bed.instances.history().values().flatten().any(failed));
}

/// What decides is read in every notation, too. What cannot be read is not guessed.
#[tokio::test]
async fn arguments_and_limits_in_another_notation_are_the_same() {
    let bed = Bed::new("notations-args").await;
    let numbers = ["context_length", "num_workers", "price_per_hour"];
    for (n, to) in [Notation::Fraction, Notation::Text].iter().enumerate() {
        bed.api.rewrite(rewrites(&numbers, to));
        let operator = bed.operator();
        let name = format!("phi-{n}");
        let id = bed
            .run(
                &name,
                json!({"modelId": MODEL, "contextLength": 4096, "numWorkers": 2}),
            )
            .await;
        // Nothing is replaced for that.
        bed.wait_lists(3).await;
        assert_eq!(bed.runs(&name).await, id);
        drop(operator);
    }
    assert_eq!(bed.changes(), [2, 0, 0, 0]);
    // 16k is the same as 16,384 where the server means it so, and less than the default.
    bed.api.rewrite(rewrites(
        &["--max-model-len"],
        &Notation::Value(json!("16K")),
    ));
    let _operator = bed.operator();
    bed.create("default", json!({"modelId": MODEL})).await;
    let default = bed.wait("default", "running", running).await;
    let args = default.status.as_ref().unwrap().instance_args.as_ref();
    assert_eq!(args.unwrap().context_length, Some(16_384));
}

/// The catalog cannot tell, and the default is too much.
#[tokio::test]
async fn a_default_that_the_api_refuses_says_what_to_set() {
    let bed = Bed::new("notations-default").await;
    bed.api.rewrite(rewrites(
        &["--max-model-len"],
        &Notation::Value(json!("as much as you like")),
    ));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let phi = bed.stalls("phi", "InvalidArguments").await;
    phi.assert_says(
        "Stalled",
        "32000 tokens are the default here: set spec.contextLength",
    );
    bed.change("phi", json!({"contextLength": 8192})).await;
    bed.runs("phi").await;
    assert_eq!((bed.starts(), bed.ever().len()), (2, 1));
}
