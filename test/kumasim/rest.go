package kumasim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Rest is what the API shows and changes of a global that keeps its state in a store of its own (Kuma
// pkg/api-server/resource_endpoints.go, resource_crud_endpoints.go, config_ws.go and index_endpoints.go).
type Rest struct {
	Store    *Store
	Config   map[string]any // what GET /config shows
	Version  string
	Instance string
	// LocalhostIsAdmin takes who asks from the process's own host, and brings no token, for the administrator (Kuma
	// pkg/api-server/authn/localhost.go).
	LocalhostIsAdmin bool
	// Answered, when set, is told of each change once it is stored, before it is answered.
	Answered func(method, path string)
}

// serve adds the routes.
func (r *Rest) serve(mux *http.ServeMux, a Access) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"hostname": r.Instance, "instanceId": r.Instance, "clusterId": "the-mesh",
			"product": "Kong Mesh",
			"version": r.Version})
	})
	mux.HandleFunc("GET /who-am-i", r.known(a, func(w http.ResponseWriter, _ *http.Request, u User) {
		reply(w, http.StatusOK, map[string]any{"name": u.Name, "groups": u.Groups})
	}))
	mux.HandleFunc("GET /config", r.known(a, func(w http.ResponseWriter, _ *http.Request, _ User) {
		reply(w, http.StatusOK, r.Config)
	}))
	mux.HandleFunc("GET /zones+insights", r.known(a, func(w http.ResponseWriter, req *http.Request, _ User) {
		if !r.Store.there() {
			answer(w, http.StatusInternalServerError, "Could not retrieve resources", "Internal Server Error")
			return
		}
		var items []map[string]any
		for _, z := range r.Store.Zones() {
			items = append(items, map[string]any{"type": "ZoneOverview", "name": z.Name, "creationTime": z.Created,
				"modificationTime": z.Modified, "zone": map[string]any{"enabled": true},
				"zoneInsight": map[string]any{"subscriptions": z.Subscriptions}})
		}
		page(w, req, items)
	}))
	mux.HandleFunc("DELETE /zones/{name}", r.admin(a, func(w http.ResponseWriter, req *http.Request) {
		r.Store.Forget(req.PathValue("name"))
		reply(w, http.StatusOK, map[string]any{})
	}))
	mux.HandleFunc("GET /global-secrets", r.admin(a, func(w http.ResponseWriter, req *http.Request) {
		all, _ := r.Store.Secrets()
		var items []map[string]any
		for _, s := range all {
			items = append(items, r.object(s))
		}
		page(w, req, items)
	}))
	mux.HandleFunc("/global-secrets/{name}", r.admin(a, r.secret))
}

// known has who asks be known.
func (r *Rest) known(a Access, then func(http.ResponseWriter, *http.Request, User)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		u, ok := r.user(req, a)
		if !ok {
			answer(w, http.StatusUnauthorized, "Invalid authentication data", "Unauthenticated")
			return
		}
		then(w, req, u)
	}
}

// admin wants who asks to be one of access.static.adminResources.
func (r *Rest) admin(a Access, then http.HandlerFunc) http.HandlerFunc {
	return r.known(a, func(w http.ResponseWriter, req *http.Request, u User) {
		if !a.Resources.has(u) {
			answer(w, http.StatusForbidden, "Access Denied", fmt.Sprintf("user %q cannot access the resource of type %q",
				u.Name+"/"+strings.Join(u.Groups, ","), "GlobalSecret"))
			return
		}
		if !r.Store.there() {
			answer(w, http.StatusInternalServerError, "Could not process a resource", "Internal Server Error")
			return
		}
		then(w, req)
	})
}

// user is who asks.
func (r *Rest) user(req *http.Request, a Access) (User, bool) {
	if bearer, any := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); any {
		return a.User(bearer)
	}
	if r != nil && r.LocalhostIsAdmin && loopback(req.RemoteAddr) && loopback(req.Host) {
		return Admin, true
	}
	return anonymous, true
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// object is a secret as the API has it.
func (r *Rest) object(s Secret) map[string]any {
	at := r.Store.of(s.Name)
	return map[string]any{"type": "GlobalSecret", "name": s.Name, "creationTime": at.created,
		"modificationTime": at.modified,
		"kri":              "kri_gs____" + s.Name + "_", "data": base64.StdEncoding.EncodeToString(s.Data[valueKey])}
}

// secret answers for one secret.
func (r *Rest) secret(w http.ResponseWriter, req *http.Request) {
	name := req.PathValue("name")
	all, _ := r.Store.Secrets()
	at := slices.IndexFunc(all, func(s Secret) bool { return s.Name == name })
	changed := func() {
		if r.Answered != nil {
			r.Answered(req.Method, strings.Trim(req.URL.Path, "/"))
		}
	}
	switch req.Method {
	case http.MethodGet:
		if at < 0 {
			answer(w, http.StatusNotFound, "Could not retrieve a resource", "Not found")
			return
		}
		reply(w, http.StatusOK, r.object(all[at]))
	case http.MethodDelete:
		if !r.Store.Delete(name) {
			answer(w, http.StatusNotFound, "Could not delete a resource", "Not found")
			return
		}
		changed()
		reply(w, http.StatusOK, map[string]any{})
	case http.MethodPut:
		var o struct {
			Type, Name string
			Data       []byte
		}
		body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
		if err != nil || json.Unmarshal(body, &o) != nil {
			answer(w, http.StatusBadRequest, "Bad Request", "it is no resource")
			return
		}
		if o.Name != name || o.Type != "GlobalSecret" {
			answer(w, http.StatusBadRequest, "Could not process a resource", "Resource is not valid",
				apiParameter{"name", "name from the URL has to be the same as in body"})
			return
		}
		created, err := r.Store.Put(GlobalSecret(name, o.Data))
		if err != nil {
			answer(w, http.StatusBadRequest, "Could not process a resource", "Resource is not valid",
				apiParameter{"data", err.Error()})
			return
		}
		changed()
		if created {
			reply(w, http.StatusCreated, map[string]any{})
			return
		}
		reply(w, http.StatusOK, map[string]any{})
	default:
		answer(w, http.StatusMethodNotAllowed, "Method not Allowed", req.Method)
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// page answers with one page of a list (Kuma pkg/api-server/pagination.go): 100 items unless size says otherwise, at
// most 1000, and the address of the next page.
func page(w http.ResponseWriter, req *http.Request, all []map[string]any) {
	size, offset := 100, 0
	var err error
	if text := req.URL.Query().Get("size"); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 1 || size > 1000 {
			answer(w, http.StatusBadRequest, "Could not retrieve resources", "Invalid page size", apiParameter{"size", text})
			return
		}
	}
	if text := req.URL.Query().Get("offset"); text != "" {
		if offset, err = strconv.Atoi(text); err != nil || offset < 0 {
			answer(w, http.StatusBadRequest, "Could not retrieve resources", "invalid offset")
			return
		}
	}
	items := all[min(offset, len(all)):min(offset+size, len(all))]
	list := map[string]any{"total": len(all), "items": append([]map[string]any{}, items...), "next": nil}
	if offset+size < len(all) {
		query := req.URL.Query()
		query.Set("offset", fmt.Sprint(offset+size))
		next := url.URL{Scheme: "http", Host: req.Host, Path: req.URL.Path, RawQuery: query.Encode()}
		list["next"] = next.String()
	}
	reply(w, http.StatusOK, list)
}
