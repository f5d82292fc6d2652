# shellcheck shell=bash
# What needs no API server. Read by check.

test_generated() {
	mkdir -p "$dir/tree/deploy"
	cp -r crds "$dir/tree/"
	cp -r deploy/helm deploy/kustomize "$dir/tree/deploy/"
	deploy/helm/generate "$dir/tree"
	diff -r crds "$chart/files/crds" || fail "the chart's definitions are out of date: deploy/helm/generate"
	diff "$chart/README.md" "$dir/tree/deploy/helm/cortecs-operator/README.md" >&2 || fail "the chart's README is out of date: deploy/helm/generate"
	diff deploy/install.yaml "$dir/tree/deploy/kustomize/base/install.yaml" >&2 || fail "deploy/install.yaml is out of date: deploy/helm/generate"
	! grep -n '| *|$' "$chart/README.md" || fail "values without a description"
	local version
	version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
	grep -qx "appVersion: $version" "$chart/Chart.yaml" || fail "the chart's appVersion is not $version, the operator's"
	local definition
	for definition in crds/*.yaml; do
		grep -q "^ *name: $(basename "$definition" .yaml).cortecs.ai\$" "$chart/Chart.yaml" || fail "Chart.yaml's annotations do not name $definition"
	done
	local alert
	while read -r alert; do
		grep -qx "## $alert" docs/runbook.md || fail "docs/runbook.md says nothing of $alert"
		grep -q "runbook_url: docs/runbook.md#${alert,,}\$" "$chart/files/alerts.yaml" || fail "$alert has no page"
	done < <(sed -n 's/^ *- alert: //p' "$chart/files/alerts.yaml")
}

# The dashboard's queries as the expressions of rules, with something for Grafana's variables.
queries_as_rules() {
	printf 'groups:\n- name: dashboard\n  rules:\n'
	sed -nE 's/^ *"expr": "(.*)",?$/\1/p' "$chart/files/dashboard.json" |
		sed -E 's/\\"/"/g; s/\$__rate_interval/5m/g; s/\$account/.*/g' |
		awk '{ printf "  - record: query:%d\n    expr: %c%s%c\n", NR, 39, $0, 39 }'
}

# The alerts as such: what Prometheus makes of them, and when they fire.
test_alerts() {
	local promtool
	promtool=$(tests/tools/tools promtool)
	cp "$chart/files/alerts.yaml" tests/chart/alerts_test.yaml "$dir/"
	"$promtool" check rules --lint all --lint-fatal "$dir/alerts.yaml" >"$dir/promtool" 2>&1 &&
		"$promtool" test rules "$dir/alerts_test.yaml" >>"$dir/promtool" 2>&1 || {
		cat "$dir/promtool" >&2
		fail "see above"
	}
	queries_as_rules >"$dir/queries.yaml"
	grep -q 'query:10$' "$dir/queries.yaml" || fail "found no queries in the dashboard"
	"$promtool" check rules "$dir/queries.yaml" >"$dir/promtool" 2>&1 || {
		cat "$dir/promtool" >&2
		fail "the dashboard has a query that Prometheus does not understand"
	}
	# Each is tested, and so is its silence.
	local alert
	while read -r alert; do
		[[ $(grep -c "alertname: $alert\(}\|\$\)" tests/chart/alerts_test.yaml) -ge 2 ]] || fail "$alert is not tested"
	done < <(sed -n 's/^ *- alert: //p' "$chart/files/alerts.yaml")
}

test_values() {
	local helm values
	for helm in "$helm3" "$helm4"; do
		"$helm" lint --strict --quiet "$chart"
		for values in "$chart"/ci/*-values.yaml; do
			"$helm" lint --strict --quiet --namespace "$namespace" --values "$values" "$chart"
		done
		# What nobody reads is a mistake, at every depth.
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set imagee.tag=1
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set image.tga=1
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set account.spec.apiURL=x
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set-json 'accounts=[{"name":"a","secret":"b"}]'
		refused 'logLevel' "$helm" template x "$chart" --set config.logLevel=loud
		refused 'concurrency' "$helm" template x "$chart" --set config.concurrency=0
		refused 'admission' "$helm" template x "$chart" --set-json 'admission.actions=["Deny","Warn"]'
	done
}

# The package has what the chart needs and nothing else.
test_package() {
	local helm
	for helm in "$helm3" "$helm4"; do
		"$helm" package "$chart" --destination "$dir/package.$(basename "$helm")" >/dev/null
		set -- "$dir/package.$(basename "$helm")"/cortecs-operator-*.tgz
		expect "what does not belong into the package" "$(tar -tzf "$1" | grep -E '/(ci|tests/.*_test\.yaml)|gotmpl' || true)" ''
		diff <("$helm" template x "$1") <("$helm" template x "$chart") >&2 || fail "the package renders something else"
	done
}

test_units() {
	"$helm_unittest" --strict "$chart" >"$dir/units" 2>&1 || {
		cat "$dir/units" >&2
		fail "see above"
	}
	grep '^Tests:' "$dir/units"
}
