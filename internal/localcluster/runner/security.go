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
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// privileges are what the program of an image may do: its container's security
// context, with what the image says where that says nothing.
type privileges struct {
	User, Group  int
	Groups       []int // supplementary ones, sorted
	Capabilities capabilities
	Privileged   bool
	NoNewPrivs   bool
	// Stripped is for a user whom this machine can not provide: the program is
	// user 0, but without what the kernel gives that one for its number.
	Stripped bool
}

// privilegesOf is refused where a kubelet does: a container that must not be
// root, and would be.
func privilegesOf(pod *corev1.Pod, container *corev1.Container, imageUser string, accounts accounts) (privileges, error) {
	context := container.SecurityContext
	if context == nil {
		context = &corev1.SecurityContext{}
	}
	ofPod := pod.Spec.SecurityContext
	if ofPod == nil {
		ofPod = &corev1.PodSecurityContext{}
	}
	var p privileges
	var err error
	if p.Capabilities, err = capabilitiesOf(context); err != nil {
		return privileges{}, err
	}
	p.Privileged = isTrue(context.Privileged)
	p.NoNewPrivs = context.AllowPrivilegeEscalation != nil && !*context.AllowPrivilegeEscalation
	who, err := accounts.resolve(imageUser)
	if err != nil {
		return privileges{}, err
	}
	asked := first(context.RunAsUser, ofPod.RunAsUser)
	if asked != nil {
		who = accounts.byID(int(*asked))
	}
	if isTrue(first(context.RunAsNonRoot, ofPod.RunAsNonRoot)) {
		if err := checkNonRoot(asked, who, imageUser); err != nil {
			return privileges{}, err
		}
	}
	p.User, p.Group = who.user, who.group
	if group := first(context.RunAsGroup, ofPod.RunAsGroup); group != nil {
		p.Group = int(*group)
	}
	p.Groups = groupsOf(ofPod, who)
	return p, nil
}

// checkNonRoot has a kubelet's words, which people look for.
func checkNonRoot(asked *int64, who account, imageUser string) error {
	name, _, _ := strings.Cut(imageUser, ":")
	switch {
	case asked != nil && *asked == 0:
		return fmt.Errorf("container's runAsUser breaks non-root policy")
	case asked != nil:
		return nil
	case who.user == 0:
		return fmt.Errorf("container has runAsNonRoot and image will run as root")
	case strings.Trim(name, "0123456789") != "":
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root", name)
	}
	return nil
}

// groupsOf are fsGroup, supplementalGroups and, unless the policy is Strict,
// those of the user in the image.
func groupsOf(context *corev1.PodSecurityContext, who account) []int {
	var groups []int
	if context.FSGroup != nil {
		groups = append(groups, int(*context.FSGroup))
	}
	for _, group := range context.SupplementalGroups {
		groups = append(groups, int(group))
	}
	if policy := context.SupplementalGroupsPolicy; policy == nil || *policy != corev1.SupplementalGroupsPolicyStrict {
		groups = append(groups, who.groups...)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// readOnlyRoot tells whether nothing but volumes can be written.
func readOnlyRoot(container *corev1.Container) bool {
	return container.SecurityContext != nil && isTrue(container.SecurityContext.ReadOnlyRootFilesystem)
}

// volumeUser is the user that all of a Pod's containers run as, if their
// manifest says so: tokens are that one's alone.
func volumeUser(pod *corev1.Pod) *int64 {
	var common *int64
	for _, container := range containersOf(pod) {
		var user *int64
		if pod.Spec.SecurityContext != nil {
			user = pod.Spec.SecurityContext.RunAsUser
		}
		if container.SecurityContext != nil {
			user = first(container.SecurityContext.RunAsUser, user)
		}
		if user == nil || (common != nil && *common != *user) {
			return nil
		}
		common = user
	}
	return common
}

func volumeGroup(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}

func first[T any](values ...*T) *T {
	for _, value := range values {
		if value != nil {
			return value
		}
	}
	return nil
}

func isTrue(value *bool) bool { return value != nil && *value }
