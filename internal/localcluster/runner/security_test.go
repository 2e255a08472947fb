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

package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

var imageAccounts = accounts{
	passwd: "root:x:0:0:root:/root:/sh\napp:x:1000:1001:the app:/srv:/sh\n",
	group:  "root:x:0:\nextra:x:50:app,other\nnone:x:51:\n",
}

func TestFilesOfNamesAreReadWholeOrNotAtAll(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		passwd string
		known  bool
	}{
		{imageAccounts.passwd, true},
		{imageAccounts.passwd + strings.Repeat("\n", maxNames), false},
	} {
		if err := os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte(tc.passwd), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := accountsOf(root).resolve("app"); (err == nil) != tc.known {
			t.Errorf("in %d bytes: %v", len(tc.passwd), err)
		}
	}
}

func TestPrivilegesOfAContainer(t *testing.T) {
	const usual = usualCapabilities
	yes, no := new(true), new(false)
	caps := func(add, drop []corev1.Capability) *corev1.SecurityContext {
		return &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: add, Drop: drop}}
	}
	strict := corev1.SupplementalGroupsPolicyStrict
	tests := map[string]struct {
		pod       *corev1.PodSecurityContext
		container *corev1.SecurityContext
		image     string
		want      privileges
		wantErr   string
	}{
		"nothing said is root with the usual capabilities": {want: privileges{Capabilities: usual}},
		"the image's user by name, with its groups":        {image: "app", want: privileges{User: 1000, Group: 1001, Groups: []int{50}, Capabilities: usual}},
		"the image's user and group by number":             {image: "65532:65531", want: privileges{User: 65532, Group: 65531, Capabilities: usual}},
		"the image's group by name":                        {image: "7:extra", want: privileges{User: 7, Group: 50, Capabilities: usual}},
		"a user that the image does not know":              {image: "nobody", wantErr: `"nobody" is not in its /etc/passwd`},
		"the pod's user, whom the image knows": {
			pod:  &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](1000)},
			want: privileges{User: 1000, Group: 1001, Groups: []int{50}, Capabilities: usual},
		},
		"the container's user before the pod's": {
			pod:       &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](1), RunAsGroup: ptr.To[int64](2)},
			container: &corev1.SecurityContext{RunAsUser: ptr.To[int64](3)}, image: "app",
			want: privileges{User: 3, Group: 2, Capabilities: usual},
		},
		"all groups, sorted": {
			pod:   &corev1.PodSecurityContext{FSGroup: ptr.To[int64](90), SupplementalGroups: []int64{80, 50}},
			image: "app", want: privileges{User: 1000, Group: 1001, Groups: []int{50, 80, 90}, Capabilities: usual},
		},
		"the manifest's groups only": {
			pod:   &corev1.PodSecurityContext{SupplementalGroups: []int64{80}, SupplementalGroupsPolicy: &strict},
			image: "app", want: privileges{User: 1000, Group: 1001, Groups: []int{80}, Capabilities: usual},
		},
		"non-root asked for, and had":   {pod: &corev1.PodSecurityContext{RunAsNonRoot: yes}, image: "65532", want: privileges{User: 65532, Capabilities: usual}},
		"non-root, but user 0":          {pod: &corev1.PodSecurityContext{RunAsNonRoot: yes, RunAsUser: ptr.To[int64](0)}, image: "65532", wantErr: "breaks non-root policy"},
		"non-root, but a root image":    {container: &corev1.SecurityContext{RunAsNonRoot: yes}, wantErr: "image will run as root"},
		"non-root, but who knows":       {container: &corev1.SecurityContext{RunAsNonRoot: yes}, image: "app", wantErr: "non-numeric user (app)"},
		"the container's no to it":      {pod: &corev1.PodSecurityContext{RunAsNonRoot: yes}, container: &corev1.SecurityContext{RunAsNonRoot: no}, want: privileges{Capabilities: usual}},
		"no capability":                 {container: caps(nil, []corev1.Capability{"ALL"}), want: privileges{}},
		"one capability":                {container: caps([]corev1.Capability{"NET_ADMIN"}, []corev1.Capability{"ALL"}), want: privileges{Capabilities: 1 << 12}},
		"one more":                      {container: caps([]corev1.Capability{"CAP_NET_ADMIN"}, nil), want: privileges{Capabilities: usual | 1<<12}},
		"one less":                      {container: caps(nil, []corev1.Capability{"NET_RAW"}), want: privileges{Capabilities: usual &^ (1 << 13)}},
		"all but one":                   {container: caps([]corev1.Capability{"ALL"}, []corev1.Capability{"SYS_ADMIN"}), want: privileges{Capabilities: everyCapability &^ (1 << 21)}},
		"one that does not exist":       {container: caps([]corev1.Capability{"NET_ADMINISTRATOR"}, nil), wantErr: `unknown capability "NET_ADMINISTRATOR"`},
		"privileged":                    {container: &corev1.SecurityContext{Privileged: yes}, want: privileges{Capabilities: everyCapability, Privileged: true}},
		"no escalation":                 {container: &corev1.SecurityContext{AllowPrivilegeEscalation: no}, want: privileges{Capabilities: usual, NoNewPrivs: true}},
		"escalation explicitly allowed": {container: &corev1.SecurityContext{AllowPrivilegeEscalation: yes}, want: privileges{Capabilities: usual}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := podOf("main")
			pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = tc.pod, tc.container
			got, err := privilegesOf(pod, &pod.Spec.Containers[0], tc.image, imageAccounts)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %v, want %q in it", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnOrdinaryUserHasNoOtherUsers(t *testing.T) {
	asked := privileges{User: 65532, Group: 65532, Groups: []int{7}, Capabilities: 1 << 12, NoNewPrivs: true}
	everybody := identities{parseIDMap("         0          0 4294967295\n"), parseIDMap("0 0 4294967295\n")}
	if got, lost := everybody.fit(asked); lost != "" || !cmp.Equal(got, asked) {
		t.Errorf("root can not have %+v but %+v: %s", asked, got, lost)
	}
	one := identities{parseIDMap("         0       1000          1\n"), parseIDMap("0 1000 1\n")}
	got, lost := one.fit(asked)
	if diff := cmp.Diff(privileges{Stripped: true, NoNewPrivs: true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(lost, "user 65532, group 65532, group 7 can not be had") {
		t.Errorf("what is lost is told as %q", lost)
	}
	root := privileges{Capabilities: 1 << 12}
	if got, lost := one.fit(root); lost != "" || !cmp.Equal(got, root) {
		t.Errorf("user 0 lost: %s", lost)
	}
}

func TestTokensAreTheirUsersAlone(t *testing.T) {
	user := func(id int64) *corev1.SecurityContext { return &corev1.SecurityContext{RunAsUser: &id} }
	pod := podOf("a", "b")
	for name, tc := range map[string]struct {
		pod  *int64
		a, b *corev1.SecurityContext
		want *int64
	}{
		"nobody is named":         {},
		"the pod's":               {pod: ptr.To[int64](7), want: ptr.To[int64](7)},
		"one container's differs": {pod: ptr.To[int64](7), b: user(8)},
		"both containers' own":    {a: user(8), b: user(8), want: ptr.To[int64](8)},
		"one container's only":    {a: user(8)},
	} {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: tc.pod}
		pod.Spec.Containers[0].SecurityContext, pod.Spec.Containers[1].SecurityContext = tc.a, tc.b
		if diff := cmp.Diff(tc.want, volumeUser(pod)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		p := payload{}
		p.addToken("token", "secret", pod, nil)
		wantMode := 0o600
		if tc.want == nil {
			wantMode = 0o644
		}
		if got := p["token"].mode; int(got) != wantMode {
			t.Errorf("%s: mode %v, want %o", name, got, wantMode)
		}
	}
}
