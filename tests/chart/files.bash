# shellcheck shell=bash
# The tests that need no API server. Sourced by check.

test_generated() {
	mkdir -p "$dir/tree/deploy"
	cp -r crds "$dir/tree/"
	cp -r deploy/helm deploy/kustomize "$dir/tree/deploy/"
	deploy/helm/generate "$dir/tree"
	diff -r crds "$chart/files/crds" || fail "the chart's definitions are out of date: deploy/helm/generate"
	diff "$chart/README.md" "$dir/tree/deploy/helm/cortecs-operator/README.md" >&2 || fail "the chart's README is out of date: deploy/helm/generate"
	diff -r deploy/kustomize "$dir/tree/deploy/kustomize" >&2 || fail "deploy/kustomize is out of date: deploy/helm/generate"
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

# Prints the dashboard's queries as the expressions of rules, with values for Grafana's variables.
queries_as_rules() {
	printf 'groups:\n- name: dashboard\n  rules:\n'
	sed -nE 's/^ *"expr": "(.*)",?$/\1/p' "$chart/files/dashboard.json" |
		sed -E 's/\\"/"/g; s/\$__rate_interval/5m/g; s/\$__range/1h/g; s/\$account/.*/g' |
		awk '{ printf "  - record: query:%d\n    expr: %c%s%c\n", NR, 39, $0, 39 }'
}

# Whether Prometheus accepts the alerts, and when they fire.
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
	# Each alert has a test that it fires and a test that it does not.
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
		# A value that no template reads is an error, at every depth.
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set imagee.tag=1
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set image.tga=1
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set account.spec.apiURL=x
		refused 'additional properties|not allowed' "$helm" template x "$chart" --set-json 'accounts=[{"name":"a","secret":"b"}]'
		# Values with which the operator would not start.
		local host
		for host in '*.cortecs.ai' cortecs.ai:99999 me@cortecs.ai https://cortecs.ai cortecs.ai/v1; do
			refused allowedApiHosts "$helm" template x "$chart" --set "config.allowedApiHosts={$host}"
		done
		refused 'proxy' "$helm" template x "$chart" --set proxy=null
		refused maxSurge "$helm" template x "$chart" --set updateStrategy.rollingUpdate.maxSurge=lots
		refused extraEnv "$helm" template x "$chart" --set 'extraEnv[0].name=A,extraEnv[0].value=1'
		refused 'logLevel' "$helm" template x "$chart" --set config.logLevel=loud
		refused 'concurrency' "$helm" template x "$chart" --set config.concurrency=0
		refused 'admission' "$helm" template x "$chart" --set-json 'admission.actions=["Deny","Warn"]'
	done
	# KEY VALUE, as text or JSON: values that Kubernetes or the container runtime would refuse later.
	local key value
	while read -r key value; do
		refused "at '/${key//.//}|$key" "$helm4" template x "$chart" --set-json "$key=$value"
	done <<'END'
config.listen "0.0.0.0:99999"
config.listen "0.0.0.0:65536"
networkPolicy.https.cidrs ["1.2.3.4/99"]
networkPolicy.https.cidrs ["1.2.3.400/9"]
networkPolicy.apiServer.cidrs ["::/129"]
fullnameOverride "Foo_Bar"
nameOverride "-x"
global.imageRegistry "registry.example/"
image.registry "https://registry.example"
image.repository "team/cortecs-operator:1.0"
terminationGracePeriodSeconds 0
dnsPolicy "ClusterFirstWithHostNet"
podDisruptionBudget.minAvailable "half"
service.ipFamilies ["IPv5"]
END
	while read -r key value; do
		"$helm4" template x "$chart" --set-json "$key=$value" >/dev/null || fail "refused: $key=$value"
	done <<'END'
config.listen "[::]:65535"
networkPolicy.https.cidrs ["0.0.0.0/0","255.1.2.3/32","::/0","2001:db8::1/128","::ffff:10.0.0.1/128"]
global.imageRegistry "registry.example:5000/mirror"
image.registry "[::1]:5000"
image.repository "registry.example:5000/team/cortecs-operator"
END
}

# null removes a default, in both Helms. A null must either render nothing or be refused.
test_nulls() {
	local helm key values needed=(image.repository image.pullPolicy crds.enabled crds.keep account.name caBundle.key leaderElection.enabled
		service.port prometheusRule.{ruleLabels,runbookUrl,extraGroups} admission.{failurePolicy,actions} admission.orphan.{users,groups}
		admission.maxWorkers.{default,namespaceLabel} networkPolicy.{dns,apiServer,https}.ports
		reaper.{schedule,overdueSeconds,deadlineSeconds}
		config.{allowedApiHosts,listen,concurrency,settleSeconds,requestTimeoutSeconds,logFormat,logLevel})
	# All values are null at once, and every feature is enabled.
	values=()
	while read -r key; do
		case " ${needed[*]} " in *" $key "*) continue ;; esac
		case $key in
		*.enabled | account.create | serviceAccount.create) values+=(--set "$key=true") ;;
		# An enabled feature needs this value: a Secret.
		account.existingSecret) values+=(--set "$key=some") ;;
		*) values+=(--set "$key=null") ;;
		esac
	done < <(sed -n 's/^| `\([^`]*\)` | .*/\1/p' "$chart/README.md")
	((${#values[@]} > 200)) || fail "the README lists fewer values than there are"
	for helm in "$helm3" "$helm4"; do
		"$helm" template x "$chart" --api-versions "$monitoring/ServiceMonitor,$monitoring/PodMonitor,$monitoring/PrometheusRule" \
			"${values[@]}" --set podMonitor.enabled=false >"$dir/nulls.yaml" || fail "see above"
		! grep -nE '<nil>|%!' "$dir/nulls.yaml" >&2 || fail "rendered without a value: see above"
		for key in "${needed[@]}"; do
			refused "missing propert(y|ies) '${key##*.}'|${key##*.} is required" "$helm" template x "$chart" --set account.create=true,account.existingSecret=some --set "$key=null"
		done
	done
}

# The package contains the files that the chart needs, and no others.
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
