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

package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// balanced is a load balancer that has numbers of every kind.
func balanced(ports ...corev1.ServicePort) *corev1.Service {
	if len(ports) == 0 {
		ports = []corev1.ServicePort{
			{Name: "http", Port: 80, NodePort: 30080},
			{Name: "dns", Port: 53, NodePort: 30053, Protocol: corev1.ProtocolUDP},
			{Name: "dns-tcp", Port: 53, NodePort: 30053, Protocol: corev1.ProtocolTCP},
		}
	}
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", UID: "web", CreationTimestamp: metav1.NewTime(reservationTime)},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.7", ClusterIPs: []string{"10.0.0.7", "fd00::7"},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, HealthCheckNodePort: 31000, Ports: ports,
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.7"}, {Hostname: "web.example"}}}},
	}
}

// textOf is one line per reservation.
func textOf(objects []client.Object) []string {
	var lines []string
	for _, object := range objects {
		switch r := object.(type) {
		case *v1alpha1.PortReservation:
			line := r.Name + " " + string(r.Spec.Retain)
			if r.Spec.HealthCheck {
				line += " health"
			}
			for _, name := range r.Spec.PortNames {
				line += " " + name
			}
			lines = append(lines, line)
		case *v1alpha1.AddressReservation:
			lines = append(lines, r.Name+" "+string(r.Spec.Retain)+" "+r.Spec.Address)
		}
	}
	return lines
}

// made are the reservations that a plan makes, as they are once they are made.
func made(plan retainPlan, at time.Time, change func(*v1alpha1.ReservationStatus)) (ports []v1alpha1.PortReservation, addresses []v1alpha1.AddressReservation) {
	for _, object := range plan.create {
		object.SetCreationTimestamp(metav1.NewTime(at))
		switch r := object.(type) {
		case *v1alpha1.PortReservation:
			change(&r.Status)
			ports = append(ports, *r)
		case *v1alpha1.AddressReservation:
			change(&r.Status)
			addresses = append(addresses, *r)
		}
	}
	return ports, addresses
}

func bind(uid types.UID) func(*v1alpha1.ReservationStatus) {
	return func(s *v1alpha1.ReservationStatus) { s.ServiceUID = uid }
}

func unseen(*v1alpha1.ReservationStatus) {}

func TestAllNumbersOfAnAnnotatedServiceAreReserved(t *testing.T) {
	plan := planRetain(retainWish{service: balanced(), retain: "24h"}, nil, nil)
	want := []string{
		"10.0.0.7 24h 10.0.0.7",
		"192.0.2.7 24h 192.0.2.7",
		"30053 24h dns dns-tcp",
		"30080 24h http",
		"31000 24h health",
		"fd00-0000-0000-0000-0000-0000-0000-0007 24h fd00::7",
	}
	if diff := cmp.Diff(want, textOf(plan.create)); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	for _, object := range plan.create {
		if keys := serviceRefKeys(object); len(keys) != 1 || keys[0] != "team/web" || !isRetained(object) {
			t.Errorf("%s is for %v, labels %v", object.GetName(), keys, object.GetLabels())
		}
	}
	ports, addresses := made(plan, reservationTime, unseen)
	if again := planRetain(retainWish{service: balanced(), retain: "24h"}, ports, addresses); len(again.create)+len(again.update)+len(again.remove) > 0 {
		t.Errorf("the second time: %v", again)
	}
	if single := planRetain(retainWish{service: balanced(corev1.ServicePort{Name: "http", Port: 80, NodePort: 30080}), retain: "24h"}, nil, nil); !cmp.Equal(textOf(single.create)[2], "30080 24h") {
		t.Errorf("a single port is bound to its name: %v", textOf(single.create))
	}
}

func TestReservationsFollowTheirServiceAndItsAnnotation(t *testing.T) {
	full := func(at time.Duration, change func(*v1alpha1.ReservationStatus)) ([]v1alpha1.PortReservation, []v1alpha1.AddressReservation) {
		return made(planRetain(retainWish{service: balanced(), retain: "24h"}, nil, nil), reservationTime.Add(at), change)
	}
	narrow := balanced(corev1.ServicePort{Name: "web", Port: 80, NodePort: 30080}, corev1.ServicePort{Name: "b", Port: 81, NodePort: 30081})
	narrow.Spec.ClusterIPs, narrow.Spec.ExternalTrafficPolicy, narrow.Status = []string{"10.0.0.7"}, "", corev1.ServiceStatus{}
	external := balanced()
	external.Spec.Type, external.Status = corev1.ServiceTypeExternalName, corev1.ServiceStatus{}
	everything := []string{
		"30053 24h dns dns-tcp", "30080 24h http", "31000 24h health",
		"10.0.0.7 24h 10.0.0.7", "192.0.2.7 24h 192.0.2.7", "fd00-0000-0000-0000-0000-0000-0000-0007 24h fd00::7",
	}
	for name, tc := range map[string]struct {
		service                *corev1.Service
		retain                 v1alpha1.Retain
		made                   time.Duration // after the Service
		status                 func(*v1alpha1.ReservationStatus)
		create, update, remove []string
	}{
		"the annotation changed": {service: balanced(), retain: "Retain", status: bind("web"), update: []string{
			"30053 Retain dns dns-tcp", "30080 Retain http", "31000 Retain health",
			"10.0.0.7 Retain 10.0.0.7", "192.0.2.7 Retain 192.0.2.7", "fd00-0000-0000-0000-0000-0000-0000-0007 Retain fd00::7",
		}},
		"the annotation is gone":             {service: balanced(), status: bind("web"), remove: everything},
		"the annotation says Delete":         {service: balanced(), retain: "Delete", status: bind("web"), remove: everything},
		"gone, and never seen bound":         {service: balanced(), status: unseen, remove: everything},
		"the Service is an ExternalName now": {service: external, retain: "24h", status: bind("web"), remove: everything},
		"numbers given up, renamed, new": {
			service: narrow, retain: "24h", status: bind("web"),
			create: []string{"30081 24h b"}, update: []string{"30080 24h web"},
			remove: []string{"30053 24h dns dns-tcp", "31000 24h health", "192.0.2.7 24h 192.0.2.7", "fd00-0000-0000-0000-0000-0000-0000-0007 24h fd00::7"},
		},
		"those of an earlier Service stay":                {service: external, retain: "24h", status: bind("older")},
		"those of an earlier Service, never seen, stay":   {service: external, retain: "24h", made: -time.Minute, status: unseen},
		"those of an earlier Service stay without a wish": {service: external, status: bind("older")},
	} {
		t.Run(name, func(t *testing.T) {
			ports, addresses := full(tc.made, tc.status)
			plan := planRetain(retainWish{service: tc.service, retain: tc.retain}, ports, addresses)
			got := [][]string{textOf(plan.create), textOf(plan.update), textOf(plan.remove)}
			if diff := cmp.Diff([][]string{tc.create, tc.update, tc.remove}, got); diff != "" {
				t.Errorf("create, update, remove (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReservationsMadeByHandAreLeftAlone(t *testing.T) {
	ports, addresses := made(planRetain(retainWish{service: balanced(), retain: "24h"}, nil, nil), reservationTime, bind("web"))
	for i := range ports {
		ports[i].Labels, ports[i].Spec.Retain = nil, "Delete"
	}
	for i := range addresses {
		addresses[i].Labels, addresses[i].Spec.Retain = nil, "Delete"
	}
	for _, retain := range []v1alpha1.Retain{"", "24h"} {
		if plan := planRetain(retainWish{service: balanced(), retain: retain}, ports, addresses); len(plan.create)+len(plan.update)+len(plan.remove) > 0 {
			t.Errorf("retain %q: %v", retain, plan)
		}
	}
}
