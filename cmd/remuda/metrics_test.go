package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// metricName is how documents name a metric.
var metricName = regexp.MustCompile(`\bremuda_[a-z_]*[a-z]\b`)

// TestMetricsLint: what a member of a cluster exposes is named as Prometheus wants it, and
// has what documents name.
func TestMetricsLint(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "iad")
	c.members[0].post(100)
	refused, err := http.Post("http://"+c.members[0].http+"/api/v1/events", "application/json", bytes.NewReader([]byte(`[{}]`)))
	if err != nil {
		t.Fatal(err)
	}
	refused.Body.Close()
	answer, err := http.Get("http://" + c.members[0].http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.New(bytes.NewReader(metrics)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(documents) == 0 {
		t.Fatal(documents, err)
	}
	for _, path := range documents {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			if !bytes.Contains(metrics, []byte("\n# TYPE "+name+" ")) {
				t.Errorf("%s names %s, which is not exposed", path, name)
			}
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no promtool")
		}
		t.Skip("there is no promtool")
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(metrics)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
