/* A discrete event simulation of a packet network. Stands for omnetpp.
 *
 * Routers form a torus; each has hosts, and every link end has an interface with a
 * queue. Hosts run one of three applications: one asks others for pages and waits, one
 * uploads with a window that halves on loss, one sends streams. Everything that
 * happens is a message at a time: packets that arrive, and timers, which may be
 * cancelled. Messages wait in a binary heap and are handled by their module through a
 * table of functions; packets are allocated and freed one by one. The heap and the
 * handlers dominate: pointers to cold memory, indirect calls, branches that depend on
 * what was loaded.
 *
 * Every packet is accounted for at the end. Sizes differ in the number of routers and
 * hosts and in the simulated time, which the steps divide. */

#include "../common/workload.h"

/* Timers first, then packets. */
enum kind {
    TIMER_SEND, TIMER_GIVE_UP, TRANSMITTED,
    REQUEST, PAGE, DATA, ACKNOWLEDGEMENT, STREAM, KINDS
};

struct message {
    uint64_t time, order;
    uint32_t heap_index; /* 0: not scheduled */
    enum kind kind;
    struct module *target;
    uint32_t source, destination; /* hosts */
    uint32_t sequence, bytes, hops;
    uint64_t created;
    struct message *next; /* in a queue */
};

/* What all modules start with. */
struct module {
    const struct module_class *class;
    struct simulation *simulation;
};

struct module_class {
    void (*start)(struct module *module);
    void (*handle)(struct module *module, struct message *message);
};

enum { DELAY_BINS = 40 };

struct counts {
    uint64_t events, sent[KINDS], delivered, lost, overflowed, delays[DELAY_BINS];
    uint64_t pages, timeouts, uploads, late;
};

struct simulation {
    uint64_t now, order; /* time is in nanoseconds */
    struct message **heap; /* from 1 on */
    uint32_t scheduled, capacity;
    struct random random;
    struct counts counts;
    uint64_t live; /* packets that are allocated */
    struct router *routers;
    struct host *hosts;
    uint32_t side, router_count, hosts_each, host_count;
};

static const uint64_t MICROSECOND = 1000, MILLISECOND = 1000000;

/* The event queue: a heap by time, then by order of scheduling. */

static bool sooner(const struct message *a, const struct message *b) {
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void heap_put(struct simulation *s, uint32_t at, struct message *message) {
    s->heap[at] = message;
    message->heap_index = at;
}

static void sift_up(struct simulation *s, uint32_t at, struct message *message) {
    for (; at > 1 && sooner(message, s->heap[at / 2]); at /= 2) heap_put(s, at, s->heap[at / 2]);
    heap_put(s, at, message);
}

static void sift_down(struct simulation *s, uint32_t at, struct message *message) {
    for (uint32_t child; (child = at * 2) <= s->scheduled; at = child) {
        if (child < s->scheduled && sooner(s->heap[child + 1], s->heap[child])) child++;
        if (!sooner(s->heap[child], message)) break;
        heap_put(s, at, s->heap[child]);
    }
    heap_put(s, at, message);
}

static void schedule(struct simulation *s, struct message *message, struct module *target,
                     uint64_t delay) {
    if (message->heap_index) workload_fail("a message is scheduled twice");
    if (s->scheduled + 2 > s->capacity) {
        s->capacity = s->capacity * 2 + 64;
        s->heap = realloc(s->heap, s->capacity * sizeof(struct message *));
        if (!s->heap) workload_fail("out of memory");
    }
    message->target = target;
    message->time = s->now + delay;
    message->order = s->order++;
    sift_up(s, ++s->scheduled, message);
}

/* Takes a message out of the queue, wherever it is. */
static void cancel(struct simulation *s, struct message *message) {
    uint32_t at = message->heap_index;
    if (at == 0) return;
    message->heap_index = 0;
    struct message *last = s->heap[s->scheduled--];
    if (last == message) return;
    if (at > 1 && sooner(last, s->heap[at / 2])) sift_up(s, at, last);
    else sift_down(s, at, last);
}

/* Handles everything up to a time. */
static void simulate(struct simulation *s, uint64_t until) {
    while (s->scheduled && s->heap[1]->time <= until) {
        struct message *message = s->heap[1];
        if (message->time < s->now) workload_fail("time goes back");
        s->now = message->time;
        s->counts.events++;
        cancel(s, message);
        message->target->class->handle(message->target, message);
    }
}

/* Packets. */

static struct message *packet_new(struct simulation *s, enum kind kind, uint32_t source,
                                  uint32_t destination, uint32_t bytes) {
    struct message *packet = workload_allocate(1, sizeof *packet);
    packet->kind = kind;
    packet->source = source;
    packet->destination = destination;
    packet->bytes = bytes;
    packet->created = s->now;
    s->live++;
    s->counts.sent[kind]++;
    return packet;
}

static void packet_free(struct simulation *s, struct message *packet) {
    s->live--;
    free(packet);
}

/* About exponential: the logarithm is exact at powers of two and linear between. */
static uint64_t random_delay(struct simulation *s, uint64_t mean) {
    uint32_t u = random_next(&s->random) | 1, halvings = 0;
    for (; u < UINT32_C(1) << 31; u <<= 1) halvings++;
    uint64_t fraction = UINT32_MAX - u; /* from 0 to 2^31 */
    return (mean * halvings + (mean * (fraction >> 11) >> 20)) * 69 / 100 + 1;
}

/* Interfaces: one packet is on its way out, others wait. */

struct interface {
    struct module module;
    struct module *peer; /* what receives at the other end */
    uint64_t byte_time, delay;
    uint32_t waiting, limit;
    struct message *sending, *first, *last;
    struct message done; /* the timer of the packet on its way out */
};

static void start_sending(struct interface *i, struct message *packet) {
    i->sending = packet;
    schedule(i->module.simulation, &i->done, &i->module, packet->bytes * i->byte_time);
}

static void finish_sending(struct interface *i) {
    struct simulation *s = i->module.simulation;
    struct message *packet = i->sending;
    i->sending = NULL;
    if (random_below(&s->random, 5000) == 0) {
        s->counts.lost++;
        packet_free(s, packet);
    } else {
        schedule(s, packet, i->peer, i->delay);
    }
    if (i->first) {
        struct message *next = i->first;
        i->first = next->next;
        i->waiting--;
        start_sending(i, next);
    }
}

static void interface_handle(struct module *module, struct message *message) {
    struct interface *i = (struct interface *)module;
    if (message == &i->done) {
        finish_sending(i);
    } else if (!i->sending) {
        start_sending(i, message);
    } else if (i->waiting == i->limit) {
        module->simulation->counts.overflowed++;
        packet_free(module->simulation, message);
    } else {
        message->next = NULL;
        if (i->first) i->last->next = message;
        else i->first = message;
        i->last = message;
        i->waiting++;
    }
}

static void nothing_to_start(struct module *module) { (void)module; }

static const struct module_class interface_class = {nothing_to_start, interface_handle};

static void interface_begin(struct interface *i, struct simulation *s, struct module *peer,
                            uint64_t byte_time, uint64_t delay) {
    i->module = (struct module){&interface_class, s};
    i->peer = peer;
    i->byte_time = byte_time;
    i->delay = delay;
    i->limit = 64;
    i->done.kind = TRANSMITTED;
}

/* Routers: four neighbours, then hosts. The table of routes is hashed by router. */

enum { NEIGHBOURS = 4, ROUTE_BUCKETS = 32 };

struct route {
    struct route *next;
    uint32_t router, port, distance;
};

struct router {
    struct module module;
    uint32_t number;
    struct interface *ports;
    struct route *routes[ROUTE_BUCKETS];
    uint64_t forwarded;
};

static struct route *find_route(const struct router *r, uint32_t router) {
    struct route *route = r->routes[router % ROUTE_BUCKETS];
    while (route && route->router != router) route = route->next;
    return route;
}

static void router_handle(struct module *module, struct message *packet) {
    struct router *r = (struct router *)module;
    struct simulation *s = module->simulation;
    uint32_t to = packet->destination / s->hosts_each, port;
    if (to == r->number) {
        port = NEIGHBOURS + packet->destination % s->hosts_each;
    } else {
        const struct route *route = find_route(r, to);
        if (!route) workload_fail("a router has no route");
        port = route->port;
    }
    packet->hops++;
    r->forwarded++;
    schedule(s, packet, &r->ports[port].module, MICROSECOND);
}

static const struct module_class router_class = {nothing_to_start, router_handle};

static uint32_t neighbour(const struct simulation *s, uint32_t router, uint32_t port) {
    uint32_t x = router % s->side, y = router / s->side;
    if (port < 2) x = (x + (port ? s->side - 1 : 1)) % s->side;
    else y = (y + (port == 3 ? s->side - 1 : 1)) % s->side;
    return y * s->side + x;
}

/* Shortest ways to one router from all others, breadth first. Ways of equal length are
 * chosen by where the search comes from first, which differs by router. */
static void make_routes(struct simulation *s, uint32_t destination) {
    uint32_t *queue = workload_allocate(s->router_count, sizeof *queue), count = 1;
    queue[0] = destination;
    for (uint32_t i = 0; i < count; i++) {
        const struct route *here = find_route(&s->routers[queue[i]], destination);
        for (uint32_t k = 0; k < NEIGHBOURS; k++) {
            uint32_t port = (k + destination + queue[i]) % NEIGHBOURS;
            struct router *other = &s->routers[neighbour(s, queue[i], port)];
            if (other->number == destination || find_route(other, destination)) continue;
            struct route *route = workload_allocate(1, sizeof *route);
            struct route **bucket = &other->routes[destination % ROUTE_BUCKETS];
            *route = (struct route){*bucket, destination, port ^ 1, here ? here->distance + 1 : 1};
            *bucket = route;
            queue[count++] = other->number;
        }
    }
    free(queue);
}

/* Hosts. Each serves others and runs an application of its own. */

struct application {
    void (*begin)(struct host *host);
    void (*timer)(struct host *host, struct message *timer);
    void (*receive)(struct host *host, struct message *packet); /* without freeing it */
};

/* What a host has received of an upload. */
struct flow {
    struct flow *next;
    uint32_t source, expected;
};

enum { FLOW_BUCKETS = 8, SEGMENT_BYTES = 1460, HEADER_BYTES = 40 };

struct host {
    struct module module;
    uint32_t number, peer; /* peer: whom the application talks to now */
    struct interface interface;
    const struct application *application;
    struct message send_timer, give_up_timer;
    struct flow *flows[FLOW_BUCKETS];
    uint32_t sequence, end;         /* the next to send; where the transfer ends */
    uint32_t acknowledged, repeats; /* all below it arrived; how often it was said again */
    uint32_t window, window_sixteenths;
    uint64_t finished;
};

static void host_send(struct host *h, enum kind kind, uint32_t to, uint32_t sequence, uint32_t bytes) {
    struct simulation *s = h->module.simulation;
    struct message *packet = packet_new(s, kind, h->number, to, bytes + HEADER_BYTES);
    packet->sequence = sequence;
    schedule(s, packet, &h->interface.module, MICROSECOND);
}

static void host_timer(struct host *h, struct message *timer, uint64_t delay) {
    cancel(h->module.simulation, timer);
    schedule(h->module.simulation, timer, &h->module, delay);
}

static void choose_peer(struct host *h) {
    struct simulation *s = h->module.simulation;
    h->peer = random_below(&s->random, s->host_count - 1);
    if (h->peer >= h->number) h->peer++;
}

/* The browser: asks for a page, waits for all its packets, thinks. */

static void browser_ask(struct host *h) {
    h->sequence += 100;
    h->acknowledged = 0;
    choose_peer(h);
    host_send(h, REQUEST, h->peer, h->sequence, 200);
    host_timer(h, &h->give_up_timer, 40 * MILLISECOND);
}

static void browser_begin(struct host *h) {
    host_timer(h, &h->send_timer, random_delay(h->module.simulation, 10 * MILLISECOND));
}

static void browser_timer(struct host *h, struct message *timer) {
    if (timer == &h->give_up_timer) h->module.simulation->counts.timeouts++;
    browser_ask(h);
}

/* The sequence of a page's packet counts down to the request's own. */
static void browser_receive(struct host *h, struct message *packet) {
    if (packet->kind != PAGE || packet->sequence - h->sequence >= 100 || packet->source != h->peer) {
        h->module.simulation->counts.late++;
        return;
    }
    h->acknowledged++;
    if (packet->sequence != h->sequence) return;
    cancel(h->module.simulation, &h->give_up_timer);
    h->module.simulation->counts.pages++;
    h->finished++;
    host_timer(h, &h->send_timer, random_delay(h->module.simulation, 4 * MILLISECOND));
}

/* The uploader: keeps a window of segments under way, which grows with success. */

static void upload_more(struct host *h) {
    while (h->sequence < h->end && h->sequence < h->acknowledged + h->window) {
        host_send(h, DATA, h->peer, h->sequence++, SEGMENT_BYTES);
    }
    host_timer(h, &h->give_up_timer, 25 * MILLISECOND);
}

/* The other side knows its flow from before, so sequences go on. */
static void upload_begin(struct host *h) {
    struct simulation *s = h->module.simulation;
    if (h->finished % 16 == 0) {
        choose_peer(h);
        /* A new start, higher than any before, that the receiver takes over. */
        h->sequence = h->acknowledged = (h->end + 0xffff) & ~UINT32_C(0xffff);
    }
    h->end = h->sequence + 20 + random_below(&s->random, 400);
    h->window = 4;
    h->window_sixteenths = h->repeats = 0;
    upload_more(h);
}

static void uploader_begin(struct host *h) {
    host_timer(h, &h->send_timer, random_delay(h->module.simulation, 10 * MILLISECOND));
}

/* Goes back to what is missing with half the window. */
static void upload_again(struct host *h) {
    h->sequence = h->acknowledged;
    h->window = h->window > 3 ? h->window / 2 : 2;
    h->repeats = 0;
    upload_more(h);
}

static void uploader_timer(struct host *h, struct message *timer) {
    if (timer == &h->send_timer) {
        upload_begin(h);
        return;
    }
    h->module.simulation->counts.timeouts++;
    upload_again(h);
}

static void uploader_receive(struct host *h, struct message *packet) {
    struct simulation *s = h->module.simulation;
    bool expected = packet->kind == ACKNOWLEDGEMENT && packet->source == h->peer;
    if (!expected || packet->sequence < h->acknowledged) {
        s->counts.late++;
        return;
    }
    if (packet->sequence == h->acknowledged) {
        if (++h->repeats == 3 && h->acknowledged < h->sequence) upload_again(h);
        return;
    }
    h->repeats = 0;
    h->acknowledged = packet->sequence;
    if (h->sequence < h->acknowledged) h->sequence = h->acknowledged;
    h->window_sixteenths += 16 / h->window + 1;
    if (h->window_sixteenths >= 16 && h->window < 48) {
        h->window_sixteenths = 0;
        h->window++;
    }
    if (h->acknowledged < h->end) {
        upload_more(h);
        return;
    }
    cancel(s, &h->give_up_timer);
    s->counts.uploads++;
    h->finished++;
    host_timer(h, &h->send_timer, random_delay(s, 5 * MILLISECOND));
}

/* The streamer: packets at a steady rate, then silence. */

static void streamer_begin(struct host *h) {
    choose_peer(h);
    h->end = h->sequence + 50 + random_below(&h->module.simulation->random, 200);
    host_timer(h, &h->send_timer, random_delay(h->module.simulation, 20 * MILLISECOND));
}

static void streamer_timer(struct host *h, struct message *timer) {
    if (h->sequence == h->end) {
        h->finished++;
        streamer_begin(h);
        return;
    }
    host_send(h, STREAM, h->peer, h->sequence++, 700);
    host_timer(h, timer, 400 * MICROSECOND);
}

static void streamer_receive(struct host *h, struct message *packet) {
    (void)packet;
    h->module.simulation->counts.late++;
}

static const struct application applications[] = {
    {browser_begin, browser_timer, browser_receive},
    {uploader_begin, uploader_timer, uploader_receive},
    {streamer_begin, streamer_timer, streamer_receive}};

/* The server in each host. */

static void serve_page(struct host *h, const struct message *request) {
    uint32_t packets = 1 + random_below(&h->module.simulation->random, 12);
    while (packets-- > 0) {
        host_send(h, PAGE, request->source, request->sequence + packets, SEGMENT_BYTES);
    }
}

static void serve_data(struct host *h, const struct message *data) {
    struct flow **bucket = &h->flows[data->source % FLOW_BUCKETS], *flow = *bucket;
    while (flow && flow->source != data->source) flow = flow->next;
    if (!flow) {
        flow = workload_allocate(1, sizeof *flow);
        *flow = (struct flow){*bucket, data->source, 0};
        *bucket = flow;
    }
    if (data->sequence >> 16 > flow->expected >> 16) flow->expected = data->sequence & ~UINT32_C(0xffff);
    if (data->sequence == flow->expected) flow->expected++;
    host_send(h, ACKNOWLEDGEMENT, data->source, flow->expected, 0);
}

static void host_handle(struct module *module, struct message *message) {
    struct host *h = (struct host *)module;
    struct simulation *s = module->simulation;
    if (message->kind == TIMER_SEND || message->kind == TIMER_GIVE_UP) {
        h->application->timer(h, message);
        return;
    }
    if (message->destination != h->number) workload_fail("a packet went to the wrong host");
    uint32_t bin = 0;
    for (uint64_t delay = s->now - message->created; delay > 1; delay >>= 1) bin++;
    s->counts.delays[bin < DELAY_BINS ? bin : DELAY_BINS - 1]++;
    s->counts.delivered++;
    if (message->kind == REQUEST) serve_page(h, message);
    else if (message->kind == DATA) serve_data(h, message);
    else if (message->kind != STREAM) h->application->receive(h, message);
    packet_free(s, message);
}

static void host_start(struct module *module) {
    struct host *h = (struct host *)module;
    h->application->begin(h);
}

static const struct module_class host_class = {host_start, host_handle};

/* The whole network. */

static struct simulation *network_new(uint32_t side, uint32_t hosts_each) {
    struct simulation *s = workload_allocate(1, sizeof *s);
    s->random.state = 20250121;
    s->side = side;
    s->router_count = side * side;
    s->hosts_each = hosts_each;
    s->host_count = s->router_count * hosts_each;
    s->routers = workload_allocate(s->router_count, sizeof *s->routers);
    s->hosts = workload_allocate(s->host_count, sizeof *s->hosts);
    for (uint32_t r = 0; r < s->router_count; r++) {
        struct router *router = &s->routers[r];
        router->module = (struct module){&router_class, s};
        router->number = r;
        router->ports = workload_allocate(NEIGHBOURS + hosts_each, sizeof *router->ports);
        for (uint32_t p = 0; p < NEIGHBOURS; p++) {
            uint64_t delay = 20 * MICROSECOND + random_below(&s->random, 200000);
            interface_begin(&router->ports[p], s, &s->routers[neighbour(s, r, p)].module, 16, delay);
        }
        for (uint32_t p = 0; p < hosts_each; p++) {
            struct host *host = &s->hosts[r * hosts_each + p];
            host->module = (struct module){&host_class, s};
            host->number = r * hosts_each + p;
            host->application = &applications[host->number % 3];
            host->send_timer.kind = TIMER_SEND;
            host->give_up_timer.kind = TIMER_GIVE_UP;
            interface_begin(&host->interface, s, &router->module, 40, 5 * MICROSECOND);
            interface_begin(&router->ports[NEIGHBOURS + p], s, &host->module, 40, 5 * MICROSECOND);
        }
    }
    for (uint32_t r = 0; r < s->router_count; r++) make_routes(s, r);
    for (uint32_t h = 0; h < s->host_count; h++) {
        s->hosts[h].module.class->start(&s->hosts[h].module);
    }
    return s;
}

static uint32_t packets_inside(const struct interface *i) {
    uint32_t count = i->sending != NULL;
    for (const struct message *packet = i->first; packet; packet = packet->next) count++;
    if (count != i->waiting + (i->sending != NULL)) workload_fail("a queue has the wrong length");
    return count;
}

/* Packets were delivered, dropped, or are in a queue or on the way. */
static void check_packets(const struct simulation *s) {
    uint64_t inside = 0, sent = 0;
    for (uint32_t i = 1; i <= s->scheduled; i++) {
        inside += s->heap[i]->kind > TRANSMITTED;
        if (i > 1 && sooner(s->heap[i], s->heap[i / 2])) workload_fail("the heap is not in order");
    }
    for (uint32_t h = 0; h < s->host_count; h++) inside += packets_inside(&s->hosts[h].interface);
    for (uint32_t r = 0; r < s->router_count; r++) {
        for (uint32_t p = 0; p < NEIGHBOURS + s->hosts_each; p++) {
            inside += packets_inside(&s->routers[r].ports[p]);
        }
    }
    for (int kind = 0; kind < KINDS; kind++) sent += s->counts.sent[kind];
    uint64_t gone = s->counts.delivered + s->counts.lost + s->counts.overflowed;
    if (inside != s->live || sent != gone + inside) workload_fail("packets are missing");
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    uint32_t side = workload_pick(&w, 4, 8, 12), hosts_each = workload_pick(&w, 4, 6, 6);
    uint32_t steps = workload_pick(&w, 40, 80, 100);
    uint64_t step_time = workload_pick(&w, 4, 5, 11) * MILLISECOND;

    struct simulation *s = network_new(side, hosts_each);
    const struct counts *c = &s->counts;
    for (uint32_t i = 1; i <= steps; i++) {
        simulate(s, i * step_time);
        workload_hash(&w, c->events);
        workload_hash(&w, c->delivered);
        workload_hash(&w, s->now);
        workload_step(&w);
    }
    check_packets(s);
    for (uint32_t bin = 0; bin < DELAY_BINS; bin++) workload_hash(&w, c->delays[bin]);
    for (uint32_t r = 0; r < s->router_count; r++) workload_hash(&w, s->routers[r].forwarded);
    for (uint32_t h = 0; h < s->host_count; h++) workload_hash(&w, s->hosts[h].finished);
    printf("%" PRIu32 " routers, %" PRIu32 " hosts, %" PRIu64 " events\n", s->router_count, s->host_count,
           c->events);
    printf("%" PRIu64 " packets delivered, %" PRIu64 " lost, %" PRIu64 " overflowed, %" PRIu64 " under way\n",
           c->delivered, c->lost, c->overflowed, s->live);
    printf("%" PRIu64 " pages, %" PRIu64 " uploads, %" PRIu64 " timeouts, %" PRIu64 " late packets\n", c->pages,
           c->uploads, c->timeouts, c->late);
    return workload_end(&w);
}
