#pragma once

namespace entrepot {

/// A link of a circular list that lives inside what it links; unlinks itself when it goes.
struct ListNode {
    ListNode* previous = this;
    ListNode* next = this;

    ListNode() = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;
    ~ListNode() { unlink(); }

    [[nodiscard]] bool linked() const { return next != this; }
    void unlink() {
        previous->next = next;
        next->previous = previous;
        previous = next = this;
    }
};

/// A list of such links, which it does not own.
class List {
public:
    [[nodiscard]] bool empty() const { return !head_.linked(); }
    [[nodiscard]] ListNode* front() { return head_.next; }
    [[nodiscard]] ListNode* back() { return head_.previous; }
    [[nodiscard]] ListNode* end() { return &head_; }
    void push_back(ListNode& node) { insert(node, head_); }
    void push_front(ListNode& node) { insert(node, *head_.next); }
    /// Moves everything of `other` to the end of this.
    void take(List& other) {
        if (other.empty()) return;
        ListNode* first = other.head_.next;
        ListNode* last = other.head_.previous;
        other.head_.next = other.head_.previous = &other.head_;
        first->previous = head_.previous;
        head_.previous->next = first;
        last->next = &head_;
        head_.previous = last;
    }

private:
    static void insert(ListNode& node, ListNode& before) {
        node.previous = before.previous;
        node.next = &before;
        before.previous->next = &node;
        before.previous = &node;
    }
    ListNode head_;
};

}  // namespace entrepot
