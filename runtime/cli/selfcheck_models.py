"""Tiny models for `doctor`: every pixel becomes 2x2. Written by `export`, zlib, base 85."""

from __future__ import annotations

MODELS = {
    "onnx": (
        "c-oa!-"
        "HzKt6kf;9+BsNk>J}+A7lnbM%1Yba6sf{Ouw)kj<^r_o6;&0@+LOdu|H(6HOSdcW7I3*&JOQ`7051i{<DZOCk*KXWXJ*cP-"
        "<+R0$FiLLMM2BOng8cL{AR!~PU)J#D9p3x56)xC;T<VHr^%Lau;n1mqBvySv9<*dX~H7c%or^h7i51SN=8%f0IYCBvy3HtqF-wR?"
        "{^){qRiJNP06qNCE?+QrIh%DBRwzgH){`%$dqI>Ww_E}PDz{<Td`~biT`LyBr)-"
        "4QzDPHENQmJ@zI0BDM{ljPPgfj$FHiXDap420i<?9e`X~@JiR0rXa~}qph-K@upUXqO6~9&a)~mIYNUcjQJk%-"
        "g{gdTd0pn{2)SH&tO1eUL!^}WpEif=mYPvTBR$#9x5KMxce+znh|QB6gA}seDfwo*S|v<9=n<aeJjufgH1i5&!7`ppOMA!Z^Y>Vv"
        "U0rLsXTwnXb~3=Q`TKQvoHoGTSC&22=DYj|4)@;j@xHfgORHamQuC_<`{m2G`FZygu)(~SpMhP`Y4{BA`N?aN+xZagSeo-"
        "b3@i<QI^Z4Huz0-@U^>GWaU?e9N6_WAa~D2B^*fz9I99Fh&0yr1a)URU8?ZONF$ZWoHrD>q{un`XA4pA2c77wO-"
        "K2MJuj8JzS7z4Trdb^wzi{e3GWqZZ_D00Qq~?NV!uuA6lEeGl8jj6*Pc67-"
        "H!;!v<KJlhuQkIzcR+4V;*4=ukrlQtTDF;GAe*8Td|>|%j-cUK#U&T6A}bu9v>YymyycKefwiY#ojR6WVp-"
        "&Nl7jPbi!+fpol0Qo3d%Q59W(ke=I%~ZaPGD^w<XR_rw{ZPdcJQAeZ|VWb*7ZbK@0rDYO$dO^FRAn)vXh!NU$JqR~-"
        "=JgyIby!9e5_v%0;nK|uypw^!C1$W@$FwOk#LgGES%VCB~dOIaqkcMFWlw#nb^qgB=YCX7lJZ9@^~8PTyuVkPkdP@zCc2FH<do72"
        "k#&+Wcpj+keRODFsYZ&(H;_Rz%-"
        "b`fYYAlwSKlgMz9pdbA?bW@G}FXXLu)d3kj!N$UioHOqR7zHcS<Go}3SUbk*X!@6Jzf|`q&C@X|(Uo6}4t}fhDl=dr{q`Q%7pz2s"
        "meNeb#c5Mg(TF3Je5<K3m~|WCjgtQzNL;lGw{5{zy9RC@$;ME%Ls`|mcfm+=>}dMQ*(pXUkhSZqsa*d6|H(u*"
    ),
    "tflite": (
        "c-p;Fu};H440W2clyYi8st`gQGIZ#K5G)8G!GI7#Oq3Z2?NK7Np-S4q$R{u|GBPtWGB7al6--Rb1pDF(NeKus;K;f2o!|4F?"
        "b`r={jJ?)_=Qx#h8oP_I1K{rB3L*FTm!gfy)^*tQCBPg6K$NLH%UpM2vb5!Fm4mIf*MGF<a(XMwmfl$-GRbIF(OP6=N2o?hy"
        "9@CbY&Yj2CeVBharu5RJZ4JB%hnkA<$`?{e1RYgulrh<FAx;xt`w5vj5ZPXR*`=FoW9cJAQM|_N3#>U|?S?aW1RMvm95N@?Y"
        "k4s@VhTBkB|9v*)-TA#$ik3H&_crx;(0j&MMu&9MLqiod{kT}y-OMm)2shraL_b^JBr-m1jCWyIWIXdaXAZ)C&)?wK_-UU0m"
        "jH^KX_SZi|A{n|+2LKZWlC#^)R9LHY`(_HloF2QT9GjEjS(MtQz37#D1dy+8=$F373d;zmpRWDGeGe$C@a;iCW&8IZSxpX_H"
        "0~K2&Vw)*G%};kv^L=+WbL?%7-_7Lv*u3|Km^_z9sQO145uf!mKLGHBZrK"
    ),
    "native": (
        "c-obb(Qbk;6o#2kVtU;<L1U1cU2NG4Y`YRdj<i4{l%_2v&XDY}_IPUxPISpKPeVfgbNcl^Jzo>g#Sx`xO*IhEkfta)A|*g7I"
        "TNxeB-AKE#~7)sq&37Siih<5kbdxEgk!{^rhS%H`P39=JEt=)TAgMka84^_Di+wnpt9A0`QJm;(o_O3tm4n+MynZTbz7&3eK"
        "^rbO{)!PI8(uaN(<W<XFJA;yZNc%`%5p93JUt{!yTC?)`6CcoY(>gVZ3lj?3OJlWYY>Ylx!KO5pve=tyQBgPi<V3oD_FCVcB"
        "K&N9ypnhi58u`PRG&$mrF(mTjI_^r{)(I^9-{eeEddlFsnP9_=`ZJ_u^2__7EPHXN|KjUOZ!xtTY4uBcY7`(>D%0euI5A+X="
        "C->7AX*Q*h0=ywcz5C6$pudqKi#=7Y^yqn|m@wU(N?o3Qfd;>=p>1h"
    ),
    "tflite-sparse": (
        "c-"
        "o~@&2G~`5S}KcR8`al5g`s7BC7`uCNw{)(h7+KRZl%2T24)5ZS75B)qmQxBT5yCBags?^uV+5GGTT+PTc~9im}Gt{buLeZ@k)h0|"
        "2K-$9?#VwV(|z;5mMq(7^cySU3j60KT#BSO7!x>qh`}oUfrbDSMN$OwK0G8k~2CzKyP>ng{XJ_2oq5VMcky9!1Uuj%(-"
        "^VE}omJrPPDcn^dBST2|5i(5kwiK%4WChu##-~(7EzID!V5dU5))?L}I8_7)gA``A_A6(fw6-"
        "uj4s*<S^k$qrajco1BWF$uR!HC1JIQ+UhvYn9~i%3#5mO@FL5g5d2p1Iyk#IX!DhWn0T!U}NQ!|_~%xpb9?rv~YEb`gt$IEeDd)x"
        "l>15lZq5i8v<|mr@zBGn91^#6E5NE{W&2g?J@GDkx!hZ1&Go;Frv)@O?Z03Oe+dB~z8)pXMd!fzT_$PBAkw5gU{xR2GzT+Sm`gYH"
        "S58oT~OinP#)o<RlfIyj_Ey<&#M$@08Is8qdSTyD-0GF<v0wjXHCJes-BkJh-"
        "EN&vuYSnAuskH+F0~=43L_GSgJ`U^p(*3+?w2INjp;m1r<@_V-pyTxpf+<M1Du_V=9bE{a;T?=^U^eR=yZ$2*2rLxcY?iynX{=y="
        "5H<U^b9Nc&Td?{SM(ZmqhExvN`@n|^VO{@(N}zQ2(OVz|?1%HFiey`sVK8hg3E#MT%y{puP$WbPRIi3yjz>Luf5{gSQzn|@^7*{@"
        "FQ&#0!SR8wh>5iR62Z*<g~6anDALby{eI9gm~gBdm|9Hq{kKj^IXMXT};*5G!pZs2>HR9du8n`<<~2A`c)Cz+Bc4(%scQz>u"
    ),
}
