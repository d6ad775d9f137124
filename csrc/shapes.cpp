#include "shapes.h"

#include <stdexcept>

namespace fastnn {

namespace {

[[noreturn]] void bad(const std::string& text) { throw std::invalid_argument(text); }

std::string strip(const std::string& s) {
  const size_t b = s.find_first_not_of(" \t\n"), e = s.find_last_not_of(" \t\n");
  return b == std::string::npos ? "" : s.substr(b, e - b + 1);
}

std::vector<std::string> split(const std::string& s, char sep) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t i = 0; i <= s.size(); ++i)
    if (i == s.size() || s[i] == sep) {
      if (const std::string part = strip(s.substr(begin, i - begin)); !part.empty())
        parts.push_back(part);
      begin = i + 1;
    }
  return parts;
}

bool is_number(const std::string& s) {
  return s.find_first_not_of("0123456789") == std::string::npos;
}

Kind kind_of(const std::string& type) {
  if (type == "In") return Kind::in;
  if (type == "Out") return Kind::out;
  if (type == "InOut") return Kind::inout;
  if (type == "int64_t") return Kind::integer;
  if (type == "double") return Kind::real;
  if (type == "bool") return Kind::flag;
  if (type == "Ints") return Kind::ints;
  throw std::logic_error("unknown parameter type " + type);
}

const char* type_words(char type) {
  switch (type) {
    case 'f':
      return "float32 or float64";
    case 'n':
      return "float32, float64 or int32";
    case 'F':
      return "float64";
    case 'i':
      return "int32";
    case 'u':
      return "uint8";
    case 'b':
      return "bool";
    default:
      return "any type";
  }
}

bool type_fits(char type, DType t) {
  switch (type) {
    case 'f':
      return t == DType::float32 || t == DType::float64;
    case 'n':
      return t == DType::float32 || t == DType::float64 || t == DType::int32;
    case 'F':
      return t == DType::float64;
    case 'i':
      return t == DType::int32;
    case 'u':
      return t == DType::uint8;
    case 'b':
      return t == DType::boolean;
    default:
      return true;
  }
}

}  // namespace

std::string shape_text(const int64_t* shape, int rank) {
  std::string s = "(";
  for (int i = 0; i < rank; ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + (rank == 1 ? ",)" : ")");
}

std::string shape_text(const View& v) { return shape_text(v.shape, v.rank); }

int64_t checked_size(const int64_t* shape, int rank, size_t item_bytes) {
  int64_t size = 1, nonzero = 1;
  for (int i = 0; i < rank; ++i) {
    if (shape[i] < 0) bad("negative size in shape " + shape_text(shape, rank));
    size *= shape[i] ? 1 : 0;
    // The product of the nonzero sizes must not wrap either: strides are computed from it.
    if (shape[i] && __builtin_mul_overflow(nonzero, shape[i], &nonzero))
      bad("shape " + shape_text(shape, rank) + " has more elements than an int64 can count");
  }
  int64_t bytes;
  if (__builtin_mul_overflow(nonzero, static_cast<int64_t>(item_bytes), &bytes))
    bad("shape " + shape_text(shape, rank) + " has more bytes than an int64 can count");
  return size ? nonzero : 0;
}

int ShapeLine::name_index(const std::string& name) {
  for (size_t i = 0; i < names_.size(); ++i)
    if (names_[i] == name) return static_cast<int>(i);
  names_.push_back(name);
  scalar_of_name_.push_back(-1);
  for (size_t p = 0; p < params_.size(); ++p)
    if (params_[p].name == name && params_[p].kind == Kind::integer)
      scalar_of_name_.back() = static_cast<int>(p);
  return static_cast<int>(names_.size()) - 1;
}

Term ShapeLine::parse_term(const std::string& text) {
  Term t;
  for (const std::string& f : split(text, '*'))
    if (is_number(f))
      t.factor *= std::stoll(f);
    else
      t.names.push_back(name_index(f));
  return t;
}

void ShapeLine::parse_rule(const std::string& item) {
  const auto param = [&](const std::string& name) {
    for (size_t i = 0; i < params_.size(); ++i)
      if (params_[i].name == name) return i;
    throw std::logic_error(kernel_ + ": shape line names unknown argument " + name);
  };
  if (const size_t ge = item.find(">="); ge != std::string::npos) {
    conditions_.push_back(
        {static_cast<int>(param(item.substr(0, ge))), std::stoll(item.substr(ge + 2))});
    return;
  }
  const size_t colon = item.find(':'), open = item.find('('), close = item.find(')');
  if (colon == std::string::npos || open != colon + 2 || close == std::string::npos)
    throw std::logic_error(kernel_ + ": cannot read shape line item " + item);
  TensorRule& rule = rules_[param(item.substr(0, colon))];
  rule.given = true;
  rule.type = item[colon + 1];
  rule.optional = close + 1 < item.size() && item[close + 1] == '?';
  rule.in_part = close + 1 < item.size() && item[close + 1] == '~';
  for (const std::string& d : split(item.substr(open + 1, close - open - 1), ',')) {
    Dim dim;
    if (d[0] == '*' || d[0] == '^') {
      dim.type = d[0] == '*' ? Dim::sequence : Dim::broadcast;
      const std::string name = d.substr(1);
      for (size_t i = 0; i < sequences_.size(); ++i)
        if (sequences_[i] == name) dim.sequence_name = static_cast<int>(i);
      if (dim.sequence_name < 0) {
        dim.sequence_name = static_cast<int>(sequences_.size());
        sequences_.push_back(name);
      }
    } else {
      dim.product = parse_term(d);
    }
    rule.dims.push_back(dim);
  }
}

ShapeLine::ShapeLine(const char* kernel, const char* params, const char* line, const char* flops)
    : kernel_(kernel) {
  std::string text = params;
  for (const std::string& p : split(text.substr(1, text.size() - 2), ',')) {
    const size_t space = p.rfind(' ');
    params_.push_back({p.substr(space + 1), kind_of(strip(p.substr(0, space)))});
  }
  rules_.resize(params_.size());
  // Items are separated by blanks outside brackets.
  std::string item;
  int depth = 0;
  for (const char* c = line;; ++c) {
    if ((*c == ' ' && depth == 0) || *c == 0) {
      if (!item.empty()) parse_rule(item);
      item.clear();
      if (*c == 0) break;
      continue;
    }
    depth += (*c == '(') - (*c == ')');
    if (*c != ' ') item += *c;
  }
  for (size_t i = 0; i < params_.size(); ++i)
    if (is_tensor(params_[i].kind) && !rules_[i].given)
      throw std::logic_error(kernel_ + ": no shape for argument " + params_[i].name);
  for (const std::string& term : split(flops, '+')) flops_.push_back(parse_term(term));
}

Sizes ShapeLine::unify(const std::vector<Arg>& args) const {
  struct Sequence {
    const int64_t* shape = nullptr;
    int rank = 0, arg = -1;
  };
  Sizes sizes{std::vector<int64_t>(names_.size(), -1)};
  std::vector<int> bound_by(names_.size(), -1);  // argument that fixed a name
  std::vector<Sequence> sequences(sequences_.size());
  int typed_by[128];
  for (int& t : typed_by) t = -1;

  const auto where = [&](int a) {
    if (!is_tensor(params_[a].kind)) return params_[a].name;
    return params_[a].name + " " + shape_text(args[a].view);
  };
  for (const Condition& c : conditions_)
    if (args[c.param].integer < c.at_least)
      bad(kernel_ + ": " + params_[c.param].name + " is " + std::to_string(args[c.param].integer) +
          ", expected at least " + std::to_string(c.at_least));
  for (size_t i = 0; i < names_.size(); ++i)
    if (scalar_of_name_[i] >= 0) {
      sizes.values[i] = args[scalar_of_name_[i]].integer;
      bound_by[i] = scalar_of_name_[i];
    }

  for (size_t a = 0; a < params_.size(); ++a) {
    const TensorRule& rule = rules_[a];
    if (!rule.given) continue;
    const View& v = args[a].view;
    if (!v.data) {
      if (rule.optional) continue;
      bad(kernel_ + ": " + params_[a].name + " is missing");
    }
    if (!type_fits(rule.type, v.dtype))
      bad(kernel_ + ": " + params_[a].name + " is " + name(v.dtype) + ", expected " +
          type_words(rule.type));
    if (rule.type == 'f' || rule.type == 'n' || rule.type == 'x' || rule.type == 'y') {
      int& first = typed_by[static_cast<int>(rule.type)];
      if (first < 0)
        first = static_cast<int>(a);
      else if (args[first].view.dtype != v.dtype)
        bad(kernel_ + ": " + params_[a].name + " is " + name(v.dtype) + " but " +
            params_[first].name + " is " + name(args[first].view.dtype));
    }
    // A sequence takes what the plain dimensions leave over.
    const int plain = static_cast<int>(rule.dims.size());
    int spans = 0;
    for (const Dim& d : rule.dims) spans += d.type != Dim::term;
    const int span_rank = v.rank - (plain - spans);
    if (spans ? span_rank < 0 : v.rank != plain)
      bad(kernel_ + ": " + params_[a].name + " has shape " + shape_text(v) + ", expected " +
          (spans ? "at least " : "") + std::to_string(plain - spans) + " dimensions");
    int axis = 0;
    for (const Dim& d : rule.dims) {
      if (d.type == Dim::term) {
        const int64_t got = v.shape[axis++];
        int64_t known = d.product.factor;
        int unknown = -1, blame = -1;
        std::string text;
        for (int n : d.product.names) {
          text += (text.empty() ? "" : "*") + names_[n];
          if (sizes.values[n] < 0 && unknown < 0 && bound_by[n] < 0)
            unknown = n;
          else if (__builtin_mul_overflow(known, sizes.values[n], &known))
            bad(kernel_ + ": " + text + " overflows in " + where(static_cast<int>(a)));
          else
            blame = bound_by[n];
        }
        if (unknown >= 0) {
          if (known == 0 ? got != 0 : got % known != 0)
            bad(kernel_ + ": axis of " + std::to_string(got) + " in " + where(static_cast<int>(a)) +
                " is not a multiple of " + std::to_string(known));
          sizes.values[unknown] = known ? got / known : 0;
          bound_by[unknown] = static_cast<int>(a);
        } else if (got != known) {
          if (d.product.names.empty())
            bad(kernel_ + ": expected " + std::to_string(known) + " but got " +
                std::to_string(got) + " in " + where(static_cast<int>(a)));
          bad(kernel_ + ": " +
              (d.product.factor != 1 ? std::to_string(d.product.factor) + "*" : "") + text +
              " is " + std::to_string(known) + " in " + where(blame) + " but " +
              std::to_string(got) + " in " + where(static_cast<int>(a)));
        }
        continue;
      }
      Sequence& s = sequences[d.sequence_name];
      const int64_t* shape = v.shape + axis;
      axis += span_rank;
      if (d.type == Dim::sequence) {
        if (s.arg < 0) {
          s = {shape, span_rank, static_cast<int>(a)};
          continue;
        }
        bool same = s.rank == span_rank;
        for (int i = 0; same && i < span_rank; ++i) same = s.shape[i] == shape[i];
        if (!same)
          bad(kernel_ + ": " + sequences_[d.sequence_name] + " is " + shape_text(s.shape, s.rank) +
              " in " + where(s.arg) + " but " + shape_text(shape, span_rank) + " in " +
              where(static_cast<int>(a)));
      }
    }
  }
  // Broadcasts are checked last, when their target is known whichever argument came first.
  for (size_t a = 0; a < params_.size(); ++a) {
    const View& v = args[a].view;
    if (!rules_[a].given || !v.data) continue;
    for (const Dim& d : rules_[a].dims) {
      if (d.type != Dim::broadcast) continue;
      const Sequence& s = sequences[d.sequence_name];
      bool fits = s.arg >= 0 && v.rank <= s.rank;
      for (int i = 1; fits && i <= v.rank; ++i)
        fits = v.shape[v.rank - i] == 1 || v.shape[v.rank - i] == s.shape[s.rank - i];
      if (!fits)
        bad(kernel_ + ": " + where(static_cast<int>(a)) + " does not broadcast to " +
            (s.arg >= 0 ? where(s.arg) : "the result"));
    }
  }
  // The size of a *s joins the names, so that costs can use it.
  for (size_t i = 0; i < names_.size(); ++i)
    for (size_t q = 0; q < sequences_.size(); ++q)
      if (sizes.values[i] < 0 && names_[i] == sequences_[q] && sequences[q].arg >= 0) {
        sizes.values[i] = 1;
        for (int k = 0; k < sequences[q].rank; ++k) sizes.values[i] *= sequences[q].shape[k];
      }
  return sizes;
}

double ShapeLine::flops(const Sizes& sizes) const {
  double total = 0;
  for (const Term& t : flops_) {
    double product = static_cast<double>(t.factor);
    for (int n : t.names) product *= static_cast<double>(sizes.values[n] < 0 ? 1 : sizes.values[n]);
    total += product;
  }
  return total;
}

}  // namespace fastnn
