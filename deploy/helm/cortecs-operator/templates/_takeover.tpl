{{/*
Helm 3 takes an object that is there already over without changing it, and from then on compares manifests alone. So
what an installation or upgrade should change of it at the same time would be lost for good. For definitions and
accounts, which outlive a release or are created by a hook, that is refused. What Helm 4 applies at the server does both
at once.
*/}}

{{/* An annotation of the Deployment: what is a part of the release already. */}}
{{- define "cortecs.owns" -}}
{{- $ids := list }}
{{- if .Values.crds.enabled }}
{{- $ids = append $ids "definitions" }}
{{- end }}
{{- if .Capabilities.APIVersions.Has "cortecs.ai/v1alpha1/CortecsAccount" }}
{{- range (include "cortecs.accounts" . | fromJson).accounts }}
{{- $ids = append $ids (printf "%s.%s" .namespace .name) }}
{{- end }}
{{- end }}
{{- with $ids }}
cortecs.ai/owns: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{/* Fails where the object is to be taken over and changed, by Helm 3: dict "root" $ "apiVersion" "kind" "namespace" "name" "id" "spec". */}}
{{- define "cortecs.takeOver" -}}
{{- $release := .root.Release }}
{{- $deployment := lookup "apps/v1" "Deployment" $release.Namespace (include "cortecs.fullname" .root) | default dict }}
{{- $owned := dig "metadata" "annotations" "cortecs.ai/owns" "" $deployment | splitList "," }}
{{- $live := lookup .apiVersion .kind .namespace .name | default dict }}
{{- $ours := eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $live) $release.Name }}
{{- if and $release.IsInstall (semverCompare ">=4.0.0-0" .root.Capabilities.HelmVersion.Version) }}
{{- $ours = false }}
{{- end }}
{{- if and $ours (not (has .id $owned)) }}
{{- range $live.metadata.managedFields }}
{{- if and (eq .manager "helm") (eq .operation "Apply") }}
{{- $ours = false }}
{{- end }}
{{- end }}
{{- $wanted := mergeOverwrite (deepCopy $live.spec) .spec | toJson | fromJson }}
{{- if and $ours (not (deepEqual $wanted ($live.spec | toJson | fromJson))) }}
{{- fail (printf "%s %s is there from before, and Helm 3 cannot take it over and change it at once. Use the chart and the values that it was made with, and upgrade then; or change it with kubectl first" .kind .name) }}
{{- end }}
{{- end }}
{{- end }}
