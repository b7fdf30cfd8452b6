{{/* Of every object: of the namespace's and of the cluster's, so that two releases never meet. */}}
{{- define "tapehouse.name" -}}
{{ printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tapehouse.selector" -}}
app.kubernetes.io/name: tapehouse-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tapehouse.labels" -}}
{{ include "tapehouse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: tapehouse
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The operator's rules, as `tapehouse-operator rbac` prints them. */}}
{{- define "tapehouse.rules" -}}
{{- range splitList "---\n" (.Files.Get "files/rbac.yaml") }}
{{- $object := fromYaml . }}
{{- if and (eq $object.kind "ClusterRole") (eq $object.metadata.name "tapehouse-operator") }}{{ toYaml $object.rules }}{{ end }}
{{- end }}
{{- end }}
