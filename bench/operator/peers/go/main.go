// Peer: a controller-runtime operator that brings about the same children, without a limit on its
// queries. What the children are comes from a template, with the resource's name and UID to be put
// in: what it is spared is deciding.
//
//	peer KUBECONFIG NAMESPACE KIND TEMPLATE
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	sampleName     = "sample-placeholder"
	sampleUID      = "00000000-0000-0000-0000-000000000000"
	hashAnnotation = "tapehouse.dev/desired-hash"
	refusedKey     = "not a key"
	fieldOwner     = client.FieldOwner("peer")
	workers        = 16
)

type reconciler struct {
	client   client.Client
	gvk      schema.GroupVersionKind
	children []byte
	status   []byte
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	resource := &unstructured.Unstructured{}
	resource.SetGroupVersionKind(r.gvk)
	if err := r.client.Get(ctx, request.NamespacedName, resource); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var children []unstructured.Unstructured
	if err := r.fill(r.children, resource, &children); err != nil {
		return ctrl.Result{}, err
	}
	broken, _, _ := unstructured.NestedBool(resource.Object, "spec", "broken")
	for i := range children {
		if broken && children[i].GetKind() == "ConfigMap" {
			_ = unstructured.SetNestedField(children[i].Object, "", "data", refusedKey)
		}
		if err := r.apply(ctx, &children[i]); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, r.report(ctx, resource)
}

// apply writes a child unless the cache has it as it is to be.
func (r *reconciler) apply(ctx context.Context, child *unstructured.Unstructured) error {
	raw, err := json.Marshal(child)
	if err != nil {
		return err
	}
	hash := fmt.Sprintf("%x", sha256.Sum256(raw))
	child.SetAnnotations(map[string]string{hashAnnotation: hash})
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(child.GroupVersionKind())
	err = r.client.Get(ctx, client.ObjectKeyFromObject(child), live)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if live.GetAnnotations()[hashAnnotation] == hash {
		return nil
	}
	return r.client.Patch(ctx, child, client.Apply, fieldOwner, client.ForceOwnership)
}

func (r *reconciler) report(ctx context.Context, resource *unstructured.Unstructured) error {
	seen, _, _ := unstructured.NestedInt64(resource.Object, "status", "observedGeneration")
	if seen == resource.GetGeneration() {
		return nil
	}
	status := map[string]any{}
	if err := r.fill(r.status, resource, &status); err != nil {
		return err
	}
	status["observedGeneration"] = resource.GetGeneration()
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	return r.client.Status().Patch(ctx, resource, client.RawPatch("application/merge-patch+json", patch))
}

// fill puts the resource's name and UID into a template, and its generation in the place of what a
// change of its spec changes.
func (r *reconciler) fill(template []byte, resource *unstructured.Unstructured, into any) error {
	text := strings.NewReplacer(
		sampleName, resource.GetName(),
		sampleUID, string(resource.GetUID()),
		`"rate":"1"`, fmt.Sprintf(`"rate":"%d"`, resource.GetGeneration()),
	).Replace(string(template))
	return json.Unmarshal([]byte(text), into)
}

func run(kubeconfig, namespace, kind, template string) error {
	raw, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	parts := strings.SplitN(string(raw), "\n", 3)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	gvk := schema.GroupVersionKind{Group: "tapehouse.dev", Version: "v1alpha1", Kind: kind}
	r := &reconciler{manager.GetClient(), gvk, []byte(parts[1]), []byte(parts[2])}
	if err := register(manager, r); err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func register(manager ctrl.Manager, r *reconciler) error {
	builder := ctrl.NewControllerManagedBy(manager).
		For(object(r.gvk)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers})
	var children []unstructured.Unstructured
	if err := json.Unmarshal(r.children, &children); err != nil {
		return err
	}
	owned := map[schema.GroupVersionKind]bool{}
	for _, child := range children {
		if gvk := child.GroupVersionKind(); !owned[gvk] {
			owned[gvk] = true
			builder = builder.Owns(object(gvk))
		}
	}
	return builder.Complete(r)
}

func object(gvk schema.GroupVersionKind) client.Object {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(gvk)
	return found
}

func main() {
	ctrl.SetLogger(zap.New())
	if len(os.Args) != 5 {
		log.Fatal("usage: peer KUBECONFIG NAMESPACE KIND TEMPLATE")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}
