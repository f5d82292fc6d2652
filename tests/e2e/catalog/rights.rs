//! A cluster without the kinds or the rights.

use super::*;

#[tokio::test]
async fn without_the_kinds_or_the_rights_the_operator_works_and_says_so_once() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/e2e/upgrade/2026-11-30/definitions"
    );
    let mut bed = Bed::builder("rightless").definitions(folder).build().await;
    bed.config.catalog_objects = Some(INTERVALS);
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    let warnings = |bed: &Bed| bed.logs.text().matches("writes no CortecsModel").count();
    bed.wait_lists(2).await;
    assert_eq!(warnings(&bed), 1, "{}", bed.logs.text());

    // The kinds are installed, and their models appear.
    install_definitions(bed.plane).await;
    complete(&bed).await;

    // The rights are taken away: only the objects suffer.
    let rules = json!([{"op": "test", "path": "/rules/4/resources/0", "value": "cortecsmodels"}, {"op": "remove", "path": "/rules/4"}]);
    let patched = bed
        .plane
        .kubectl(&[
            "patch",
            "clusterrole",
            "cortecs-operator",
            "--type=json",
            "--patch",
            &rules.to_string(),
        ])
        .await;
    assert_succeeded("kubectl patch", &patched);
    change(&bed, json!({"models": [{"model_id": "new"}]}));
    let refused = || {
        bed.logs
            .text()
            .matches("an object of the catalog cannot be written")
            .count()
    };
    eventually("a refusal in the log", SOON, async || match refused() {
        0 => Err(bed.logs.text()),
        _ => Ok(()),
    })
    .await;
    bed.run("second", json!({"modelId": MODEL})).await;
    let warned = bed.logs.text();
    let warned = warned
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("cannot be written"));
    assert_eq!(warned.count(), 1, "{}", bed.logs.text());
}
