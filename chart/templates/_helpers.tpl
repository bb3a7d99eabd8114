{{- define "xcpauth.image" -}}
{{- $i := .Values.image -}}
{{- if $i.digest -}}
{{ printf "%s@%s" $i.repository $i.digest }}
{{- else -}}
{{ printf "%s:%s" $i.repository (default .Chart.AppVersion $i.tag) }}
{{- end -}}
{{- end -}}

{{- define "xcpauth.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- /* The namespace of the edges' kubeconfigs: xcpauth-edges for xcpauth-system, mesh-edges for mesh. */}}
{{- define "xcpauth.edgesNamespace" -}}
{{ printf "%s-edges" (trimSuffix "-system" .Release.Namespace) }}
{{- end -}}

{{- /* The annotation by which the roster's kind tells every user where the lock is. A cluster has one namespace: in
another than the one it uses, nothing is installed. */}}
{{- define "xcpauth.namespace" -}}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "edgeclusters.xcpauth.io" -}}
{{- $used := get (default dict .metadata.annotations) "xcpauth.io/namespace" | default "xcpauth-system" -}}
{{- if ne $used $.Release.Namespace -}}
{{- fail (printf "this cluster keeps its state in namespace %s; install the release there: --namespace %s" $used $used) -}}
{{- end -}}
{{- end -}}
{{- if ne .Release.Namespace "xcpauth-system" }}
    xcpauth.io/namespace: {{ .Release.Namespace }}
{{- end -}}
{{- end -}}
