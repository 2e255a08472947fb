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

package supervisor

import (
	"fmt"
	"path/filepath"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/software"
)

// apiServerPort is where the API server listens on the first node.
const apiServerPort = 6443

// Names of the control plane's components, which are those of their logs.
const (
	etcdName              = "etcd"
	apiServerName         = "kube-apiserver"
	controllerManagerName = "kube-controller-manager"
	schedulerName         = "kube-scheduler"
)

// etcdSocket is where etcd answers the API server: a socket in the private
// tmpfs, which programs on the first node's network can not reach.
func (s *Supervisor) etcdSocket() string {
	return "unix://" + filepath.Join(s.runDir("etcd"), "client.sock")
}

// etcdArgs trade durability for speed: the data lives in memory and does not
// outlive the cluster anyway.
func (s *Supervisor) etcdArgs() []string {
	peers := "unix://" + filepath.Join(s.runDir("etcd"), "peer.sock")
	return []string{
		"--name=" + s.cluster.ControlPlane().Name,
		"--data-dir=" + filepath.Join(s.runDir("etcd"), "data"),
		"--listen-client-urls=" + s.etcdSocket(),
		"--advertise-client-urls=" + s.etcdSocket(),
		"--listen-peer-urls=" + peers,
		"--initial-advertise-peer-urls=" + peers,
		"--initial-cluster=" + s.cluster.ControlPlane().Name + "=" + peers,
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

// apiServerArgs are those of kubeadm, less what a cluster that lives for
// hours can do without.
func (s *Supervisor) apiServerArgs() []string {
	file := s.credentials.file
	return []string{
		"--etcd-servers=" + s.etcdSocket(),
		"--bind-address=::",
		fmt.Sprintf("--secure-port=%d", apiServerPort),
		"--advertise-address=" + s.cluster.ControlPlane().IPs()[0].String(),
		"--tls-cert-file=" + file("apiserver.crt"),
		"--tls-private-key-file=" + file("apiserver.key"),
		"--client-ca-file=" + file("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + layout.ServiceCIDRs,
		"--service-account-issuer=https://kubernetes.default.svc." + layout.ClusterDomain,
		"--service-account-key-file=" + file("sa.key"),
		"--service-account-signing-key-file=" + file("sa.key"),
		"--kubelet-certificate-authority=" + file("ca.crt"),
		"--kubelet-client-certificate=" + file("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + file("apiserver-kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--proxy-client-cert-file=" + file("front-proxy-client.crt"),
		"--proxy-client-key-file=" + file("front-proxy-client.key"),
		"--requestheader-client-ca-file=" + file("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
	}
}

// controllers are those of kube-controller-manager. The suite is in the place of
// three of them; whoever wants to install it so has to turn them off as well.
func (s *Supervisor) controllers() string {
	if s.config.Software.EndpointControllers == software.On {
		return "*"
	}
	return "*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"
}

func (s *Supervisor) controllerManagerArgs(access string) []string {
	file := s.credentials.file
	return append([]string{
		"--kubeconfig=" + access,
		"--authentication-kubeconfig=" + access,
		"--authorization-kubeconfig=" + access,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--controllers=" + s.controllers(),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + file("sa.key"),
		"--root-ca-file=" + file("ca.crt"),
		"--cluster-signing-cert-file=" + file("ca.crt"),
		"--cluster-signing-key-file=" + file("ca.key"),
		"--cluster-cidr=" + layout.PodCIDRs,
		"--service-cluster-ip-range=" + layout.ServiceCIDRs,
		"--allocate-node-cidrs=false",
		// It makes this directory, at a place of the machine if not told another.
		"--flex-volume-plugin-dir=" + s.runDir("volume-plugins"),
	}, fastClient...)
}

// fastClient lifts the limit of 20 requests a second, at which a controller
// manager needs five seconds to make its controllers' accounts.
var fastClient = []string{"--kube-api-qps=500", "--kube-api-burst=1000"}

func schedulerArgs(access string) []string {
	return append([]string{
		"--kubeconfig=" + access,
		"--authentication-kubeconfig=" + access,
		"--authorization-kubeconfig=" + access,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	}, fastClient...)
}
