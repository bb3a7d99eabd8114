package state

import (
	"strconv"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The documented metrics that we read (the vendor's key metrics page).
const (
	MetricConnect     = "xcp_edge_stream_connect_count"              // of an edge, by statusLabel
	MetricPush        = "xcp_edge_last_push_to_central_timestamp_ms" // of an edge
	MetricConnections = "xcp_central_current_edge_connections"       // of Central, by connection_type
	metricEvent       = "xcp_central_last_config_propagation_event_timestamp_ms"
)

// counters reads a metrics page of the Prometheus text format (version 0.0.4): every xcp_ series by its full name
// with labels.
func counters(r plan.Result) (map[string]float64, string) {
	switch {
	case r.Err != "":
		return nil, r.Err
	case r.Missing:
		return nil, "the pod is gone"
	}
	series := map[string]float64{}
	for line := range strings.Lines(string(r.Body)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "xcp_") {
			continue
		}
		name, value, ok := cutSeries(line)
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			series[name] = v
		}
	}
	if len(series) == 0 {
		return nil, "its metrics page has none of the documented series"
	}
	return series, ""
}

// cutSeries parts `name{a="b c"} 12 1700000` into the series and its value.
func cutSeries(line string) (name, value string, ok bool) {
	end := strings.IndexByte(line, ' ')
	if brace := strings.LastIndexByte(line, '}'); brace >= 0 {
		end = brace + 1
	}
	if end <= 0 || end >= len(line) {
		return "", "", false
	}
	fields := strings.Fields(line[end:])
	if len(fields) == 0 {
		return "", "", false
	}
	return line[:end], fields[0], true
}

// label returns the value of one label of a series, unescaped; "" when it has none. It goes from label to label, so
// neither the end of a longer name nor a text inside a value is taken for the label.
func label(series, key string) string {
	_, rest, _ := strings.Cut(series, "{")
	for {
		name, after, ok := strings.Cut(rest, `="`)
		if !ok {
			return ""
		}
		end := closingQuote(after)
		if end < 0 {
			return ""
		}
		if strings.Trim(name, ", ") == key {
			v, err := strconv.Unquote(`"` + after[:end] + `"`)
			if err != nil {
				return ""
			}
			return v
		}
		rest = after[end+1:]
	}
}

// closingQuote is where the quotation mark is that ends a value; -1 when there is none.
func closingQuote(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

func named(series, metric string) bool {
	return series == metric || strings.HasPrefix(series, metric+"{")
}
