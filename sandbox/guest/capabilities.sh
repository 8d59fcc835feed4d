#!/bin/sh
# capabilities.sh NAME...: for each capability one line, "NAME yes" or "NAME no REASON".
# Each is tried for real in a throwaway network namespace.
try() {
    case $1 in
        bridge) ip link add t0 type bridge ;;
        veth) ip link add t0 type veth peer name t1 ;;
        dummy) ip link add t0 type dummy ;;
        vlan) ip link add t0 type veth peer name t1 && ip link add link t0 name t0.5 type vlan id 5 ;;
        macvlan) ip link add t0 type veth peer name t1 &&
            ip link add link t0 name t2 type macvlan mode bridge ;;
        ipvlan) ip link add t0 type veth peer name t1 &&
            ip link add link t0 name t2 type ipvlan mode l3 ;;
        vxlan) ip link add t0 type vxlan id 42 dstport 4789 ;;
        ipvs) ipvsadm -A -f 1 -s rr ;;
        esp) ip xfrm state add src 127.0.0.1 dst 127.0.0.2 proto esp spi 1 mode transport \
            aead 'rfc4106(gcm(aes))' 0x0123456789012345678901234567890123456789 64 ;;
        br_netfilter) test -e /proc/sys/net/bridge/bridge-nf-call-iptables ;;
        iptables) iptables -t nat -A POSTROUTING -j MASQUERADE ;;
        nftables) nft add table inet t ;;
        trace) iptables -t raw -A PREROUTING -j TRACE ;;
        *) echo "unknown capability" >&2 && return 1 ;;
    esac
}
if [ "$1" = --one ]; then
    try "$2"
    exit
fi
for name in "$@"; do
    if reason=$(unshare --net "$0" --one "$name" 2>&1); then
        echo "$name yes"
    else
        echo "$name no $(echo "$reason" | head -n 1)"
    fi
done
