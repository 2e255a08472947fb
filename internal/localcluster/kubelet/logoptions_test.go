/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package kubelet

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestLogOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		query string
		want  *corev1.PodLogOptions
		err   string
	}{
		"nothing asked for": {want: &corev1.PodLogOptions{}},
		"everything": {
			query: "follow=true&previous=false&timestamps=true&tailLines=0&sinceSeconds=5&limitBytes=9&stream=Stderr&sinceTime=2026-01-02T03:04:05Z",
			want: &corev1.PodLogOptions{
				Follow: true, Timestamps: true, TailLines: ptr.To[int64](0), SinceSeconds: ptr.To[int64](5), LimitBytes: ptr.To[int64](9),
				Stream: new("Stderr"), SinceTime: &metav1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
			},
		},
		"a negative tail":    {query: "tailLines=-1", err: `log option tailLines="-1" must be a number of at least 0`},
		"a limit of nothing": {query: "limitBytes=0", err: `log option limitBytes="0" must be a number of at least 1`},
		"a word for a bool":  {query: "follow=maybe", err: `log option follow="maybe" must be true or false`},
		"an unknown stream":  {query: "stream=both", err: `log option stream="both" must be All, Stdout or Stderr`},
		"not a time":         {query: "sinceTime=today", err: `log option sinceTime="today" must be a time as in RFC 3339`},
	} {
		t.Run(name, func(t *testing.T) {
			query, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseLogOptions(query)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("error %v, want %s", err, tc.err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
			}
		})
	}
}
